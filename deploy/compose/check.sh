#!/bin/sh
# The composed system up, the end-to-end tests on its doors, and down again with its data. It is a project of its
# own on ports of its own, so that a deployment on this machine is not touched:
#     deploy/compose/check.sh [pytest's arguments]
set -eu
cd "$(dirname "$0")/../.."

secrets=.deskline/compose-check.env
mkdir -p .deskline
rm -f "$secrets"
.venv/bin/python deploy/compose/new_secrets.py "$secrets"
cat >>"$secrets" <<'END'
DESKLINE_GATEWAY_PORT=18080
DESKLINE_SMTP_PORT=12525
DESKLINE_MAILBOX_HTTP_PORT=18025
DESKLINE_KAFKA_PORT=19092
DESKLINE_POSTGRES_PORT=15432
END

compose="docker compose --project-name deskline-check --env-file $secrets"
trap '$compose down --volumes --timeout 20' EXIT
trap 'exit 130' INT TERM

$compose build
started=$(date +%s)
$compose up --wait || { $compose ps --all; $compose logs --tail 20; exit 1; }
echo "healthy after $(($(date +%s) - started)) s"

. "./$secrets"
export DESKLINE_STACK=external
export DESKLINE_KEY_ENCRYPTION_KEY
export DESKLINE_EXTERNAL_KAFKA=127.0.0.1:19092
export DESKLINE_EXTERNAL_POSTGRES="postgresql://postgres:$DESKLINE_POSTGRES_PASSWORD@127.0.0.1:15432/postgres"
export DESKLINE_EXTERNAL_GATEWAY=http://127.0.0.1:18080
export DESKLINE_EXTERNAL_SMTP=127.0.0.1:12525
export DESKLINE_EXTERNAL_MAILBOX=http://127.0.0.1:18025
export DESKLINE_EXTERNAL_COMMAND="$compose exec -T {service} deskline-{service}"
.venv/bin/pytest -m anywhere tests/e2e "$@"

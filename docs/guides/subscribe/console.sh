#!/usr/bin/env bash
# Prints facts with Kafka's own console consumer, each once and in its stream's order; texts stay sealed.
# It keeps nothing: each run begins with the first fact. Needs bash 4 and Kafka 4.2.
set -euo pipefail

: "${DESKLINE_KAFKA:?the brokers, host:port,host:port}"
consumer=${KAFKA_CONSOLE_CONSUMER:-kafka-console-consumer.sh}
topics=${1:-'deskline\.(intake|tickets|routing|sla|notify)\.events'}
declare -A last

"$consumer" --bootstrap-server "$DESKLINE_KAFKA" --include "$topics" --from-beginning \
    ${DESKLINE_KAFKA_CONFIG:+--command-config "$DESKLINE_KAFKA_CONFIG"} \
    --formatter-property print.headers=true --formatter-property headers.separator=';' \
    --formatter-property print.key=true --formatter-property key.separator=$'\t' |
    while IFS=$'\t' read -r headers key data; do
        declare -A head=()
        IFS=';' read -ra pairs <<<"$headers"
        for pair in "${pairs[@]}"; do head[${pair%%:*}]=${pair#*:}; done
        stream="${head[ce_source]} $key"
        # Less: a repeat. More: what is between was lost, and all of it comes again under a higher epoch.
        if [[ ${head[ce_sequence]} == "$((${last[$stream]:-0} + 1))" ]]; then
            last[$stream]=${head[ce_sequence]}
            printf '%s\t%s\t%s\t%s\t%s\n' "${head[ce_time]}" "${head[ce_type]}" "$key" "${head[ce_sequence]}" "$data"
        fi
    done

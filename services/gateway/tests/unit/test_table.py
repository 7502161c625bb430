"""The table of rules beside a second one, written by hand: a right that changes must be changed twice."""

from typing import Final, get_args

import pytest

from deskline_gateway.domain.rules import OWNERS, ROLES, Owner, Role, Rule
from deskline_gateway.domain.table import RULES, is_cross_origin

pytestmark = pytest.mark.unit

LETTERS: Final[dict[Role, str]] = {"operator": "o", "lead": "l", "admin": "a", "analyst": "n", "system": "s"}

# owner, name, method, path, who may (letters above), and what else holds: `match` stands for If-Match
TABLE: Final = """
analytics list_tickets           GET  /v1/tickets                               olan
analytics find_ticket_by_number  GET  /v1/tickets/by-number/{number}            olan
analytics read_timeline          GET  /v1/tickets/{ticket_id}/timeline          olan
analytics search_tickets         POST /v1/tickets/search                        ola
analytics read_routing_decisions GET  /v1/tickets/{ticket_id}/routing-decisions lan
analytics report_daily_flow      GET  /v1/reports/daily-flow                    olan
analytics report_sla             GET  /v1/reports/sla                           lan
analytics report_operator_load   GET  /v1/reports/operator-load                 olan
tickets   read_ticket            GET  /v1/tickets/{ticket_id}                   ola
tickets   read_history           GET  /v1/tickets/{ticket_id}/history           ola
tickets   reply                  POST /v1/tickets/{ticket_id}/replies           ol      changes,keyed
tickets   add_note               POST /v1/tickets/{ticket_id}/notes             ol      changes,keyed
tickets   change_stage           POST /v1/tickets/{ticket_id}/stage             ol      changes,keyed,match
tickets   change_priority        POST /v1/tickets/{ticket_id}/priority          ol      changes,keyed,match
tickets   accept                 POST /v1/tickets/{ticket_id}/accept            ol      changes,keyed
tickets   decline                POST /v1/tickets/{ticket_id}/decline           ol      changes,keyed
tickets   unassign               POST /v1/tickets/{ticket_id}/unassign          ol      changes,keyed,match
tickets   change_queue           POST /v1/tickets/{ticket_id}/queue             ol      changes,keyed,match
tickets   escalate               POST /v1/tickets/{ticket_id}/escalate          ol      changes,keyed,match
tickets   list_set_aside         GET  /v1/lines/{line_id}/set-aside             ola
tickets   watch_ticket           GET  /v1/tickets/{ticket_id}/events            ola     watches:read_ticket
routing   list_operators         GET  /v1/operators                             ola
routing   read_operator          GET  /v1/operators/{operator_id}               ola
routing   put_operator           PUT  /v1/operators/{operator_id}               a       changes,match?
routing   list_teams             GET  /v1/teams                                 ola
routing   read_team              GET  /v1/teams/{team_id}                       ola
routing   put_team               PUT  /v1/teams/{team_id}                       a       changes,match?
routing   list_queues            GET  /v1/queues                                ola
routing   read_queue             GET  /v1/queues/{queue_id}                     ola
routing   put_queue              PUT  /v1/queues/{queue_id}                     a       changes,match?
routing   set_presence           POST /v1/presence                              ol      changes
routing   list_offers            GET  /v1/offers                                ol
routing   list_waiting           GET  /v1/queues/{queue_id}/waiting             ola
routing   read_decisions         GET  /v1/tickets/{ticket_id}/decisions         lan
routing   watch_queue            GET  /v1/queues/{queue_id}/events              ola     watches:list_waiting
sla       list_policies          GET  /v1/policies                              lan
sla       read_policy            GET  /v1/policies/{policy_id}                  lan
sla       put_policy             PUT  /v1/policies/{policy_id}                  a       changes,match?
sla       list_calendars         GET  /v1/calendars                             lan
sla       read_calendar          GET  /v1/calendars/{calendar_id}               lan
sla       put_calendar           PUT  /v1/calendars/{calendar_id}               a       changes,match?
sla       read_clocks            GET  /v1/tickets/{ticket_id}/clocks            ola     behind-card
notify    list_notifications     GET  /v1/tickets/{ticket_id}/notifications     ola
notify    list_templates         GET  /v1/templates                             la
notify    read_template          GET  /v1/templates/{kind}/{language}           la
notify    put_template           PUT  /v1/templates/{kind}/{language}           a       changes,match?
notify    preview_template       POST /v1/templates/{kind}/{language}/preview   a
intake    send_message           POST /v1/lines/{line_id}/messages              anybody changes,keyed
intake    list_lines             GET  /v1/lines                                 ola
intake    find_contact           POST /v1/contacts/find                         ola
intake    erase_contact          POST /v1/contacts/{contact_id}/erase           a       changes,keyed
"""


def written(rule: Rule) -> list[str]:
    """A rule as a line of the table has it."""
    named = {one.path: one.name for one in RULES if one.method == "GET"}
    marks = {
        "changes": rule.changes,
        "keyed": rule.keyed,
        "match": rule.version == "always",
        "match?": rule.version == "where_it_exists",
        "behind-card": rule.behind_card,
        f"watches:{named.get(rule.watches or '')}": rule.watches is not None,
    }
    who = "".join(LETTERS[role] for role in ROLES if role in rule.roles)
    told = ",".join(mark for mark, is_so in marks.items() if is_so)
    line = [rule.owner, rule.name, rule.method, rule.path, "anybody" if rule.public else who]
    return [*line, told] if told else line


def test_the_table_is_the_one_that_was_agreed() -> None:
    assert [written(rule) for rule in RULES] == [line.split() for line in TABLE.split("\n") if line]
    assert {rule.version for rule in RULES} == {None, "always", "where_it_exists"}
    assert {type(rule.changes) for rule in RULES} == {type(rule.public) for rule in RULES} == {bool}
    assert set(LETTERS) == set(ROLES)
    assert get_args(Owner) == OWNERS


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.public], ids=lambda rule: rule.name)
def test_a_rule_allows_its_roles_and_nobody_else(rule: Rule) -> None:
    for role in ROLES:
        assert rule.allows(frozenset({role})) == (role in rule.roles)
        assert rule.allows(frozenset({role, "operator", "lead", "admin", "analyst"}))
    assert not rule.allows(frozenset())
    assert not rule.allows(frozenset({"customer"}))


def test_nobody_is_allowed_what_is_for_anybody_by_role() -> None:
    (form,) = (rule for rule in RULES if rule.public)
    assert not form.allows(frozenset(ROLES))


def test_pages_of_other_origins_may_send_a_form_and_nothing_else() -> None:
    fitting = [rule.name for rule in RULES if is_cross_origin(rule.path.replace("{line_id}", "x"))]
    assert fitting == ["send_message"]

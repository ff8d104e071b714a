#!/bin/sh
# Moves the embedded sandbox's traffic; engine.yaml beside it lists how it is run.
#   sandbox-route.sh observe GATEWAY STABLE CANARY
#   sandbox-route.sh shift   GATEWAY STABLE CANARY WEIGHT STABLE_WEIGHT NUMBER RELEASE GENERATION
# GENERATION may be empty: written over anything. Exit 75 when the route has another one.
act=$1 url=http://$2/admin/route stable=$3 canary=$4

fail() { printf '%s\n' "$1" >&2; exit "${2:-1}"; }

# side NAME: the fields of one backend. field NAME: one field's value, as JSON.
side() { printf '%s' "$route" | sed -n "s/.*\"$1\":\({[^}]*}\).*/\1/p"; }
field() { sed -n "s/.*[{,]\"$1\":\([^,}]*\).*/\1/p"; }

observe() {
    route=$(curl -fsS -m 4 "$url") || exit 1
    route=$(printf '%s' "$route" | tr -d ' \n')
    old=$(side "$stable") new=$(side "$canary")
    if [ -z "$old" ] || [ -z "$new" ]; then
        fail "there is no backend $stable or $canary in $route"
    fi
    printf '{"weight": %s, "canary": %s, "stable": %s, "canary_ready": %s, "stable_ready": %s,' \
        "$(printf '%s' "$new" | field weight)" \
        "$(printf '%s' "$new" | field version)" "$(printf '%s' "$old" | field version)" \
        "$(printf '%s' "$new" | field ready)" "$(printf '%s' "$old" | field ready)"
    mark=$(printf '%s' "$route" | sed -n 's/.*"mark":\({[^}]*}\).*/\1/p')
    printf '"addresses": {"canary": %s, "stable": %s, "public": "%s"},' \
        "$(printf '%s' "$new" | field url)" "$(printf '%s' "$old" | field url)" "${url%/admin/route}"
    printf '"generation": %s, "mark": %s, "by": %s, "release": %s}\n' \
        "$(printf '%s' "$route" | field generation)" \
        "$(printf '%s' "$mark" | field number)" "$(printf '%s' "$mark" | field by)" \
        "$(printf '%s' "$mark" | field release)"
}

shift_weights() {
    by=laneshift
    [ "$3" = rollback.sh ] && by=rollback.sh
    body="{\"weights\": {\"$stable\": $2, \"$canary\": $1}${5:+, \"if_generation\": $5},"
    body="$body \"mark\": {\"number\": \"$3\", \"by\": \"$by\", \"release\": \"$4\"}}"
    answer=$(curl -sS -m 4 -w '\n%{http_code}' -X PUT -H 'Content-Type: application/json' -d "$body" "$url") || exit 1
    code=${answer##*
}
    [ "$code" = 409 ] && fail "the route has changed: $answer" 75
    [ "$code" = 200 ] || fail "the gateway answered $code: $answer"
    echo "$1% on $canary"
}

case $act in
    observe) observe ;;
    shift) shift 4 && shift_weights "$@" ;;
    *) fail "observe or shift, not $act" 64 ;;
esac

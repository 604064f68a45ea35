#!/usr/bin/env bash
# A program that takes items with curl and jq: paths of files, whose checksum and size it keeps as their results.
# jobs.yaml says how to run it, docs/work-queues.md what it says over its socket.
set -euo pipefail

items() { # PATH [OPTION...]
  curl --silent --show-error --unix-socket "$DROVER_ITEMS_SOCKET" --request POST "${@:2}" "http://items$1"
}

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

while :; do
  status=$(items '/next?wait=60' --output "$answer" --write-out '%{http_code}')
  case $status in
    200) ;;
    204) continue ;; # none came: ask again
    410) exit 0 ;; # all are done
    *) cat "$answer" >&2 && exit 1 ;;
  esac
  id=$(jq '.items[0].id' "$answer")
  path=$(jq --raw-output '.items[0].data' "$answer")
  if sum=$(cksum 2>&1 < "$path"); then
    read -r checksum bytes <<< "$sum"
    items "/items/$id/complete" --fail --data "{\"checksum\": $checksum, \"bytes\": $bytes}"
  else
    jq --null-input --arg error "can not read $path" '{$error, retry: false}' |
      items "/items/$id/fail" --fail --data-binary @-
  fi
done

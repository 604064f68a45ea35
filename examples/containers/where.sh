#!/bin/sh
# Says which pod runs in which container.
echo "pod ${JOB_COMPLETION_INDEX:-0} runs in $(hostname)"

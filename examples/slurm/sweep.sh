#!/bin/bash
# One task of a Slurm array runs one part of a sweep; a job after it merges the parts:
#
#   jid=$(sbatch --parsable --array=1-8 examples/slurm/sweep.sh spec.toml big seed=0..64 algorithm.descent.norm=l2,linf)
#   sbatch --dependency=afterany:$jid --wrap "latephase merge big"
#
# A task that was preempted is submitted again as it is: what has finished stays, and what was interrupted goes on.
#SBATCH --job-name=latephase
#SBATCH --cpus-per-task=4
#SBATCH --time=01:00:00
#SBATCH --signal=B:USR1@60
set -u
spec=$1 dir=$2
shift 2
# Arrays count from what --array says; shards count from 1.
shard=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))/$SLURM_ARRAY_TASK_COUNT
# The shell hands the warning of Slurm on, and latephase saves everything and ends with 130.
trap 'kill -TERM $child' USR1
latephase run "$spec" --sweep "$@" --out "$dir" --shard "$shard" --threads "${SLURM_CPUS_PER_TASK:-1}" --quiet &
child=$!
wait $child
code=$?
if [ "$code" -gt 128 ]; then # the trap cut the first wait short
    wait $child
    code=$?
fi
exit "$code"

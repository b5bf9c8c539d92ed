#!/usr/bin/env bash
# run_under_mpi.sh RANKS PROGRAM [ARGUMENT...]: starts a test program on that many ranks of this machine.
set -eu
ranks=$1
shift
export STRATA_TEST_RANKS=$ranks
exec mpirun --allow-run-as-root --oversubscribe --bind-to none -np "$ranks" "$@"

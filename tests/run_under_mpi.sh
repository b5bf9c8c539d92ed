#!/usr/bin/env bash
# run_under_mpi.sh RANKS PROGRAM [ARGUMENT...]: starts a test program on that many ranks of this machine.
set -eu
ranks=$1
shift
export STRATA_TEST_RANKS=$ranks
# Open MPI names its files after mpirun's process number, which in Bazel's sandboxes is the same for tests that run at
# the same time: each has a folder of its own, or they take each other's.
export OMPI_MCA_orte_tmpdir_base=$TEST_TMPDIR OMPI_MCA_btl_vader_backing_directory=$TEST_TMPDIR
exec mpirun --allow-run-as-root --oversubscribe --bind-to none -np "$ranks" "$@"

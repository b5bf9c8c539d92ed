#pragma once

namespace strata {

/// From now on SIGTERM, SIGINT and SIGUSR1 (Slurm's --signal) ask for a stop instead of ending the process: finish the
/// step, save, exit with kExitRequeue. A second SIGINT ends it at once. SIGXFSZ is ignored.
void install_stop_signals();

/// The signal that asked for a stop, or 0.
int stop_requested();

/// Asks for a stop as a signal would: for the time limit, and for tests.
void request_stop(int signal);

}  // namespace strata

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/stop.h"
#include "distributed/mpi.h"
#include "tools/commands/session.h"

namespace {

using strata::Session;

/// Before MPI is started only the launcher's variables tell which rank this is; rank 0 alone speaks.
bool launched_as_rank_0() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK"}) {
    if (const char* rank = std::getenv(name)) return std::atoi(rank) == 0;
  }
  return true;
}

/// Runs the command; errors that all ranks share end them with its code, an error of one rank alone ends the job.
int run_parallel(Session& session) {
  const strata::MpiEnvironment mpi;
  const strata::Communicator world = strata::Communicator::world();
  session.set_world(&world);
  strata::init_log(session.log_level(), world.rank(), world.size());
  try {
    return session.run();
  } catch (const strata::SharedError& e) {
    if (world.rank() == 0) strata::log_error_text(e.what());
    return e.exit_code();
  } catch (const std::exception& e) {
    strata::log_error_text(e.what());
    const auto* ours = dynamic_cast<const strata::Error*>(&e);
    const int code = ours != nullptr ? ours->exit_code() : strata::kExitFailed;
    if (world.size() > 1) strata::MpiEnvironment::abort(code);
    return code;
  }
}

int run(Session& session) {
  if (session.parallel) return run_parallel(session);
  strata::init_log(session.log_level(), 0, 1);
  return session.run();
}

/// A stream that is closed at the start would lend its number to the first file that is opened, and output would go there.
void open_closed_streams() {
  for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
    if (fd <= STDERR_FILENO) continue;
    close(fd);
    return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_closed_streams();
  Session session(argc, argv);
  CLI::App app("Sweeps over what is done with the layers of frozen speech models: features once, trials by the thousand.");
  app.name("strata");
  app.set_version_flag("--version", strata::version_text, "versions of Strata and its libraries, and whether a GPU is seen");
  app.add_flag("--quiet", session.quiet, "only warnings and errors");
  app.add_flag("--verbose", session.verbose, "say more");
  app.require_subcommand(1);
  app.fallthrough();
  for (const auto add :
       {strata::add_prepare, strata::add_encode, strata::add_extract, strata::add_sweep, strata::add_pretrain,
        strata::add_status, strata::add_report, strata::add_compare, strata::add_predict, strata::add_inspect,
        strata::add_verify, strata::add_copy, strata::add_strip, strata::add_list, strata::add_untrained}) {
    add(app, session);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return launched_as_rank_0() ? app.exit(e) : 0;  // --help, --version
    if (launched_as_rank_0()) strata::log_error_text(std::string(e.what()) + "; `strata --help` and `strata COMMAND --help` tell more");
    return strata::kExitUsage;
  }
  strata::install_stop_signals();
  try {
    return run(session);
  } catch (const strata::Error& e) {
    strata::log_error_text(e.what());
    return e.exit_code();
  } catch (const std::exception& e) {
    strata::log_error_text(e.what());
    return strata::kExitFailed;
  }
}

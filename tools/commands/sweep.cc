#include <fmt/format.h>

#include "core/base/error.h"
#include "tools/commands/session.h"
#include "trainers/study/study.h"
#include "trainers/sweep/sweep.h"

namespace strata {

void add_sweep(CLI::App& app, Session& session) {
  struct Arguments {
    std::string study;
    std::vector<std::string> overrides;
    SweepOptions options;
  };
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("sweep", "Trains every trial of a study that is not done.");
  command->add_option("study", given->study, "study file (JSON)")->required();
  command->add_option("overrides", given->overrides, "key=value: changes a value of the study, such as sweep.0.optimizer.learning_rate=1e-3,1e-2");
  command->add_flag("--dry-run", given->options.dry_run, "list the trials and what would be done");
  command->add_flag("--retry-failed", given->options.retry_failed, "try trials again that failed in an earlier run");
  command->add_option("--threads", given->options.threads, "threads of a rank (default: the study's \"threads\", else its share of the node's cores)")->check(CLI::NonNegativeNumber);
  command->footer("Run again, it continues. Example:\n  mpirun -np 4 strata sweep study.json");
  command->callback([&session, given] {
    session.parallel = true;
    session.run = [&session, given] {
      Study study;
      together(session.ranks(), [&] { study = read_study(given->study, given->overrides); });
      given->options.show_progress = !session.quiet;
      given->options.provenance = session.provenance();
      const SweepSummary summary = sweep(study, session.ranks(), given->options);
      if (session.ranks().rank() == 0) {
        if (given->options.dry_run) {
          fmt::print("{}", summary.plan);
        } else {
          fmt::print("{}: {} trials, {} done before, {} done now, {} failed\n", study.output.string(), summary.trials, summary.done_before, summary.done, summary.failed);
        }
        if (summary.stopped) log_warning("stopped by a signal; all is saved, run the same command again to continue");
      }
      return summary.stopped ? kExitRequeue : summary.failed > 0 ? kExitPartial : kExitDone;
    };
  });
}

}  // namespace strata

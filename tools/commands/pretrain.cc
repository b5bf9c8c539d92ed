#include "trainers/pretrain/pretrain.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "tools/commands/session.h"

namespace strata {

void add_pretrain(CLI::App& app, Session& session) {
  struct Arguments {
    std::string study;
    std::vector<std::string> overrides;
    PretrainOptions options;
  };
  const auto given = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("pretrain", "Trains small upstreams without labels: the section `pretrain` of a study.");
  command->add_option("study", given->study, "study file (JSON)")->required();
  command->add_option("overrides", given->overrides,
                      "key=value: changes a value of the study, such as pretrain.models.hubert.steps=1000");
  command
      ->add_option("--only", given->options.only,
                   "train this model, and those that its units come from; may be given again")
      ->allow_extra_args(false);
  command
      ->add_option("--threads", given->options.threads,
                   "threads of a rank in a step (default 1); others change the last bits")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--decoders", given->options.decoders,
                   "threads of a rank that decode speech (default: its share of the node's cores)")
      ->check(CLI::NonNegativeNumber);
  command->footer("Run again, it continues. Example:\n  mpirun -np 2 strata pretrain configs/pretrain.json");
  command->callback([&session, given] {
    session.parallel = true;
    session.run = [&session, given] {
      PretrainStudy study;
      together(session.ranks(), [&] { study = read_pretrain_study(given->study, given->overrides); });
      given->options.search = session.model_search();
      given->options.show_progress = !session.quiet;
      given->options.provenance = session.provenance();
      const PretrainSummary summary = pretrain(study, session.ranks(), given->options);
      if (session.ranks().rank() == 0) {
        fmt::print("{}: {} models, {} done before, {} done now; {} utterances could not be decoded\n",
                   study.output.string(), summary.models, summary.done_before, summary.done, summary.failed);
        if (summary.stopped) log_warning("stopped by a signal; all is saved, run the same command again to continue");
      }
      return summary.stopped ? kExitRequeue : summary.failed > 0 ? kExitPartial : kExitDone;
    };
  });
}

}  // namespace strata

#include <fmt/format.h>

#include "core/base/error.h"
#include "tools/commands/session.h"
#include "trainers/extract/extract.h"
#include "trainers/study/study.h"

namespace strata {

void add_extract(CLI::App& app, Session& session) {
  struct Arguments {
    std::string study;
    std::vector<std::string> overrides;
    int threads = 0;
    std::int64_t shard_bytes = ExtractOptions().shard_bytes;
    bool ignore_free_space = false, retry_failed = false;
  };
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("extract", "Runs every upstream of a study once over every corpus and stores the layers.");
  command->add_option("study", given->study, "study file (JSON)")->required();
  command->add_option("overrides", given->overrides, "key=value: changes a value of the study, such as store=/scratch/features");
  command->add_option("--threads", given->threads, "units computed side by side in a rank (default: its share of the node's cores)")->check(CLI::NonNegativeNumber);
  command
      ->add_option("--shard-bytes", given->shard_bytes,
                   "about the size of a shard, which is one unit of work; counts when an utterance is planned first "
                   "(default: a 8192nd of what is planned, at least 16 MiB and at most 256 MiB)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--ignore-free-space", given->ignore_free_space, "start although the disk looks too small");
  command->add_flag("--retry-failed", given->retry_failed,
                    "try utterances again that could not be decoded in an earlier run");
  command->footer(
      "Run again, it does what is missing: new utterances, and new taps of those that are stored, in shards of their "
      "own.\nExample:\n  mpirun -np 4 strata extract study.json");
  command->callback([&session, given] {
    session.parallel = true;
    session.run = [&session, given] {
      Study study;
      together(session.ranks(), [&] { study = read_study(given->study, given->overrides); });
      ExtractOptions options;
      options.search = session.model_search();
      options.threads = given->threads;
      options.shard_bytes = given->shard_bytes;
      options.ignore_free_space = given->ignore_free_space;
      options.retry_failed = given->retry_failed;
      options.show_progress = !session.quiet;
      options.provenance = session.provenance();
      const ExtractSummary summary = extract(study, session.ranks(), options);
      if (session.ranks().rank() == 0) {
        fmt::print("{}: {} shards written, {} were there; {} utterances, {:.1f} s of audio in {:.1f} s{}\n", study.store.string(), summary.shards_written,
                   summary.shards_there, summary.utterances, summary.audio_seconds, summary.seconds,
                   summary.failed > 0 ? fmt::format("; {} could not be decoded and are recorded beside their shards", summary.failed) : "");
        if (summary.stopped) log_warning("stopped by a signal; run the same command again to continue");
      }
      return summary.stopped ? kExitRequeue : summary.failed > 0 ? kExitPartial : kExitDone;
    };
  });
}

}  // namespace strata

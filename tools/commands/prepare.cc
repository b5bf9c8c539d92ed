#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/config/overrides.h"
#include "data/corpora/corpus.h"
#include "tools/commands/session.h"

namespace strata {

void add_prepare(CLI::App& app, Session& session) {
  struct Arguments {
    bool list = false;
    std::string corpus, source, output;
    std::vector<std::string> options;
  };
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("prepare", "Writes the manifests of a corpus from its files as published.");
  command->add_flag("--list", given->list, "name the corpora and layouts there are");
  command->add_option("corpus", given->corpus, "a corpus or layout (see --list)");
  command->add_option("--source", given->source, "folder or file to read");
  command->add_option("--output", given->output, "folder to write manifests into");
  command->add_option("options", given->options, "key=value options of the corpus (`strata list corpora` names them)");
  command->footer("Example:\n  strata prepare table --source my.csv --output manifests/mine 'tasks=[\"sid\"]' split_by=session");
  command->callback([&session, given] {
    session.run = [given] {
      if (given->list) {
        for (const auto& [name, entry] : CorpusRegistry::entries()) fmt::print("{:<16} {}\n", name, entry.summary);
        return kExitDone;
      }
      if (given->corpus.empty() || given->source.empty() || given->output.empty()) {
        throw ConfigError("strata prepare needs CORPUS, --source and --output (`strata prepare --list` names the corpora)");
      }
      Json options = {{"type", given->corpus}};
      for (const std::string& option : given->options) apply_override(options, option);
      const Json record = prepare_corpus(options, given->source, given->output, "strata prepare");
      fmt::print("{}\n", record.dump(1));
      return kExitDone;
    };
  });
}

}  // namespace strata

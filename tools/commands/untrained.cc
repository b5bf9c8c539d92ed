#include "core/upstreams/untrained.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/config/overrides.h"
#include "tools/commands/session.h"

namespace strata {

void add_untrained(CLI::App& app, Session& session) {
  struct Arguments {
    std::string output;
    std::vector<std::string> options;
  };
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("untrained", "Writes a HuBERT with random weights as a Hugging Face folder: to try Strata without a download.");
  command->add_option("output", given->output, "folder to write; new or empty")->required();
  FieldLister lister;
  UntrainedOptions defaults;
  defaults.fields(lister);
  std::string options;
  for (const FieldDescription& field : lister.fields) options += fmt::format("\n  {}={}: {}", field.key, field.default_value.dump(), field.meaning);
  command->add_option("options", given->options, "key=value");
  command->footer("Options and defaults:" + options + "\nExample:\n  strata untrained models/untrained-tiny layers=2 hidden_size=64 heads=4 intermediate_size=128 conv_dim=32");
  command->callback([&session, given] {
    session.run = [given] {
      Json json = Json::object();
      for (const std::string& option : given->options) apply_override(json, option);
      FieldReader reader(json, "strata untrained");
      UntrainedOptions chosen;
      chosen.fields(reader);
      reader.finish("strata untrained");
      write_untrained_hubert(given->output, chosen);
      fmt::print("{}: an UNTRAINED HuBERT with {} layers of width {}, seed {}\n", given->output, chosen.layers, chosen.hidden_size, chosen.seed);
      return kExitDone;
    };
  });
}

}  // namespace strata

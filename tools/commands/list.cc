#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/fusions/fusion.h"
#include "core/heads/head.h"
#include "core/interfaces/interface.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "data/audio/effects/effect.h"
#include "data/corpora/corpus.h"
#include "tools/commands/session.h"
#include "trainers/tasks/task.h"

namespace strata {
namespace {

template <class Kind>
void print_kind(const char* title) {
  fmt::print("{}\n", title);
  for (const auto& [name, entry] : Kind::entries()) {
    fmt::print("  {:<18} {}\n", name, entry.summary);
    for (const FieldDescription& field : entry.options()) {
      fmt::print("    {:<20} {}{}; default {}\n", field.key, field.meaning, field.allowed.empty() ? "" : " (" + field.allowed + ")", field.default_value.dump());
    }
  }
}

struct Listing {
  const char* name;
  void (*print)(const char*);
};

constexpr Listing kListings[] = {
    {"interfaces", print_kind<InterfaceRegistry>}, {"fusions", print_kind<FusionRegistry>},       {"heads", print_kind<HeadRegistry>},
    {"tasks", print_kind<TaskRegistry>},           {"upstreams", print_kind<UpstreamRegistry>},   {"corpora", print_kind<CorpusRegistry>},
    {"effects", print_kind<EffectRegistry>},       {"optimizers", print_kind<OptimizerRegistry>}, {"schedules", print_kind<ScheduleRegistry>},
};

}  // namespace

void add_list(CLI::App& app, Session& session) {
  const auto kind = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("list", "Names what can stand in a study: each with its meaning, options and defaults.");
  command->add_option("kind", *kind, "interfaces, fusions, heads, tasks, upstreams, corpora, effects, optimizers, schedules (default: all)");
  command->footer("Example:\n  strata list interfaces");
  command->callback([&session, kind] {
    session.run = [kind] {
      bool found = false;
      std::vector<std::string> names;
      for (const Listing& listing : kListings) {
        names.push_back(listing.name);
        if (!kind->empty() && *kind != listing.name) continue;
        listing.print(listing.name);
        found = true;
      }
      if (!found) throw ConfigError(fmt::format("there is no kind \"{}\"{} kinds are {}", *kind, did_you_mean(*kind, names).empty() ? ";" : did_you_mean(*kind, names), fmt::join(names, ", ")));
      return kExitDone;
    };
  });
}

}  // namespace strata

#include "trainers/report/status.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tools/commands/session.h"
#include "trainers/study/study.h"

namespace strata {

void add_status(CLI::App& app, Session& session) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "status", "Says what a running or stopped study has done, is doing, has left, and when it will end.");
  command->add_option("path", *path, "output of a study, or its study file")->required();
  command->footer("Example:\n  strata status runs/quick");
  command->callback([&session, path] {
    session.run = [path] {
      fmt::print("{}",
                 status_text(read_status(fs::is_directory(*path) ? fs::path(*path) : read_study(*path, {}).output)));
      return kExitDone;
    };
  });
}

}  // namespace strata

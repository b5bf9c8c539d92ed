#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tools/commands/session.h"
#include "trainers/report/results.h"
#include "trainers/report/table.h"
#include "trainers/study/study.h"

namespace strata {

void add_report(CLI::App& app, Session& session) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("report", "Prints a study's results as papers do, and writes them to OUTPUT/report and OUTPUT/results.csv.");
  command->add_option("path", *path, "output of a study, or its study file; it may be running")->required();
  command->footer("Example:\n  strata report runs/quick");
  command->callback([&session, path] {
    session.run = [path] {
      const fs::path output = fs::is_directory(*path) ? fs::path(*path) : read_study(*path, {}).output;
      const StudyResults results = load_results(output);
      const std::string text = markdown_report(results);
      write_file_atomically(output / "report" / "report.md", text);
      write_file_atomically(output / "results.csv", results_csv(results));
      fmt::print("{}", text);
      log_info("written: {} and {}", (output / "report" / "report.md").string(), (output / "results.csv").string());
      return kExitDone;
    };
  });
}

}  // namespace strata

#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/config/json.h"
#include "core/upstreams/upstream.h"
#include "distributed/mpi.h"

namespace strata {

/// What a command line came to: the command to run, and what commands share.
class Session {
 public:
  Session(int argc, char** argv);

  /// The command that was parsed; returns the exit code.
  std::function<int()> run;
  /// True if the command works under mpirun: `main` then starts MPI before `run`.
  bool parallel = false;

  bool quiet = false;
  bool verbose = false;
  LogLevel log_level() const { return quiet ? LogLevel::kQuiet : verbose ? LogLevel::kVerbose : LogLevel::kNormal; }

  /// All ranks; only for parallel commands.
  const Communicator& ranks() const { return *world_; }
  void set_world(const Communicator* world) { world_ = world; }

  /// Where models are looked for, from the environment.
  ModelSearch model_search() const;
  /// Versions, host, command line: for what is written.
  Json provenance() const;

 private:
  std::string command_text() const;  // of this run, "strata sweep ..."

  std::vector<std::string> arguments_;
  const Communicator* world_ = nullptr;
};

/// The text of `strata --version`.
std::string version_text();

/// Each adds its subcommand to `app` and sets `session.run` when it is the one parsed.
void add_extract(CLI::App& app, Session& session);
void add_sweep(CLI::App& app, Session& session);
void add_pretrain(CLI::App& app, Session& session);
void add_status(CLI::App& app, Session& session);
void add_compare(CLI::App& app, Session& session);
void add_report(CLI::App& app, Session& session);
void add_predict(CLI::App& app, Session& session);
void add_prepare(CLI::App& app, Session& session);
void add_encode(CLI::App& app, Session& session);
void add_inspect(CLI::App& app, Session& session);
void add_verify(CLI::App& app, Session& session);
void add_copy(CLI::App& app, Session& session);
void add_strip(CLI::App& app, Session& session);
void add_list(CLI::App& app, Session& session);
void add_untrained(CLI::App& app, Session& session);

}  // namespace strata

#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "trainers/report/results.h"

namespace strata {

/// A trial of a study that was never run: what load_results would give.
struct SmallTrial {
  std::string upstream = "hubert";
  Json interface = {{"type", "weighted_sum"}};
  double learning_rate = 1e-3;
  int seed = 0;
  std::string task = "sid";

  std::string id() const {
    return fmt::format("{}-{}-{}-{}-{}", task, upstream, interface.dump(), learning_rate, seed);
  }

  TrialResult waiting() const {
    TrialResult trial;
    trial.id = id();
    trial.status = "waiting";
    trial.names = {{"task", task}, {"upstreams", {upstream}}};
    trial.config = {{"task", {{"type", task}}},
                    {"upstreams", {{{"fingerprint", "of " + upstream}}}},
                    {"interface", interface},
                    {"fusion", {{"type", "none"}}},
                    {"head", {{"type", "mean_pool_linear"}}},
                    {"optimizer", {{"type", "adam"}, {"learning_rate", learning_rate}}},
                    {"steps", 100},
                    {"seed", seed}};
    trial.metric = {"accuracy", true, true};
    return trial;
  }

  TrialResult done(double dev, double test, const Json& weights = Json::object()) const {
    TrialResult trial = waiting();
    trial.status = "done";
    trial.done = {{"event", "trial_done"},
                  {"trial", trial.id},
                  {"parameters", 10},
                  {"seconds", 1.5},
                  {"best", {{"step", 100}, {"dev", {{"accuracy", dev}}}, {"weights", weights}}},
                  {"test", {{"accuracy", test}}}};
    return trial;
  }
};

}  // namespace strata

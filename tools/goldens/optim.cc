#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <cctype>

#include "core/base/error.h"
#include "core/heads/linear.h"
#include "core/heads/pooling.h"
#include "core/interfaces/interface.h"
#include "core/losses/cross_entropy.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "tools/goldens/golden.h"
#include "tools/goldens/tolerance.h"

namespace strata {
namespace {

/// {"torch_optim_name": "Adam", "lr": 0.05, ..} as our options.
Json optimizer_options(const Json& golden) {
  Json options = golden;
  std::string type = golden.at("torch_optim_name");
  for (char& letter : type) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  if (!OptimizerRegistry::contains(type)) throw DataError(fmt::format("optimizer \"{}\" is not known yet", type));
  options["type"] = type;
  options["learning_rate"] = golden.at("lr");
  options.erase("torch_optim_name");
  options.erase("lr");
  return options;
}

std::unique_ptr<Schedule> make_schedule(const Json& golden, std::int64_t updates) {
  if (golden.is_null()) return ScheduleRegistry::make(FieldReader({{"type", "constant"}}, "cases.json"), updates);
  if (golden.at("name") != "linear_schedule_with_warmup") {
    throw DataError(fmt::format("schedule {} is not known yet", golden.at("name").dump()));
  }
  const Json options = {{"type", "linear"}, {"warmup_steps", golden.at("num_warmup_steps")}};
  return ScheduleRegistry::make(FieldReader(options, "cases.json"),
                                golden.at("num_training_steps").get<std::int64_t>());
}

/// The model of these fixtures: weighted sum over layers, mean over valid frames, `classifier`.
class SmallModel {
 public:
  SmallModel(InterfaceInput input, std::int64_t classes)
      : interface_(InterfaceRegistry::make(FieldReader({{"type", "weighted_sum"}}, "model"), input)),
        specs_(interface_->parameters()) {
    for (ParameterSpec& spec : linear_parameters("classifier", input.width, classes)) specs_.push_back(std::move(spec));
  }

  const std::vector<ParameterSpec>& parameters() const { return specs_; }

  LossSum loss(const at::Tensor& flat, const at::Tensor& features, const at::Tensor& lengths,
               const at::Tensor& labels) const {
    const Parameters parameters = view_parameters(specs_, flat);
    const at::Tensor pooled = mean_of_valid_frames(interface_->forward(parameters, features), lengths);
    return cross_entropy(linear(parameters, "classifier", pooled), labels);
  }

 private:
  std::unique_ptr<Interface> interface_;
  std::vector<ParameterSpec> specs_;
};

/// A training as it went, one entry an update (losses: one a micro-batch).
struct Trajectory {
  std::vector<double> losses, norms, rates;
  std::vector<std::int64_t> updated;
  std::vector<at::Tensor> parameters;  // flat
};

Trajectory train(const SmallModel& model, const Json& golden_case, Fixture& fixture, at::ScalarType dtype) {
  const at::Tensor flat = fixture.parameters("init.", model.parameters(), dtype);
  const auto optimizer =
      OptimizerRegistry::make(FieldReader(optimizer_options(golden_case.at("optimizer")), "cases.json"), flat);
  const std::int64_t updates = golden_case.at("updates"), accumulate = golden_case.at("accumulate");
  const auto schedule = make_schedule(golden_case.at("schedule"), updates);
  const at::Tensor features = fixture["features"].to(dtype), lengths = fixture["lengths"], labels = fixture["labels"];
  const at::Tensor batches = fixture["batches"];

  Trajectory run;
  for (std::int64_t update = 0; update < updates; ++update) {
    flat.mutable_grad() = at::zeros_like(flat, at::TensorOptions().requires_grad(false));
    for (std::int64_t micro = 0; micro < accumulate; ++micro) {
      const at::Tensor batch = batches[update * accumulate + micro];
      const auto of_batch = [&](const at::Tensor& x) { return x.index_select(0, batch); };
      const LossSum loss = model.loss(flat, of_batch(features), of_batch(lengths), of_batch(labels));
      const at::Tensor mean = loss.sum / loss.count;
      (mean / accumulate).backward();
      run.losses.push_back(mean.item<double>());
    }
    const double rate = optimizer->learning_rate() * schedule->factor(update);
    const UpdateResult result = clipped_step(*optimizer, flat.mutable_grad(), rate, golden_case.at("clip"));
    run.norms.push_back(result.gradient_norm);
    run.rates.push_back(rate);
    run.updated.push_back(result.applied ? 1 : 0);
    run.parameters.push_back(flat.detach().clone());
  }
  return run;
}

/// The run in float32 is held against the float64 values and against the peer's own float32 ones.
void check_training(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const at::Tensor& features = fixture["features"];
  const SmallModel model({features.size(2), features.size(3)}, fixture["init.classifier.bias"].size(0));
  const Trajectory run = train(model, golden_case, fixture, compare.dtype());

  const auto hold = [&](const std::string& key, const at::Tensor& got) {
    compare.tensor(key, got, fixture[key]);
    const at::Tensor* peer = fixture.has("float32." + key) ? &fixture["float32." + key] : nullptr;
    if (peer != nullptr && compare.dtype() == at::kFloat) compare.tensor(key, got, *peer);
  };
  hold("loss", at::tensor(run.losses, at::kDouble));
  hold("grad_norm", at::tensor(run.norms, at::kDouble));
  hold("lr", at::tensor(run.rates, at::kDouble));
  hold("updated", at::tensor(run.updated, at::kLong));
  const at::Tensor all = at::stack(run.parameters);
  std::int64_t first = 0;
  for (const ParameterSpec& spec : model.parameters()) {
    std::vector<std::int64_t> shape = spec.shape;
    shape.insert(shape.begin(), all.size(0));
    const at::Tensor steps = all.narrow(1, first, spec.elements()).reshape(shape);
    hold("param." + spec.name, steps);
    hold("final." + spec.name, steps[-1]);
    first += spec.elements();
  }
}

}  // namespace

std::vector<GoldenLine> check_optim(const std::filesystem::path& folder) {
  return check_cases(folder, "optim", check_training, {}, 16.0);
}

}  // namespace strata

#include "core/optim/optimizer.h"

#include <ATen/Functions.h>

#include <filesystem>
#include <limits>

#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Optimizer> make(const std::string& options, const at::Tensor& parameters) {
  return make_variant<OptimizerRegistry>(options, parameters);
}

std::vector<std::string> all_with_state() {
  return {R"({"type": "adam"})", R"({"type": "adamw"})", R"({"type": "sgd", "momentum": 0.9})", R"({"type": "sgd"})"};
}

at::Tensor gradient(int step) { return random_tensor({257}, 10 + step).to(at::kFloat); }

TEST(Optimizer, ContinuesBitForBitFromASavedState) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "state.safetensors";
  for (const std::string& options : all_with_state()) {
    const at::Tensor straight = gradient(0), resumed = straight.clone();
    const auto through = make(options, straight);
    auto first = make(options, resumed);
    for (int i = 1; i <= 3; ++i) through->step(gradient(i), 0.01), first->step(gradient(i), 0.01);
    write_safetensors(path, first->state());
    auto second = make(options, resumed);
    second->load_state(read_safetensors(path));
    for (int i = 4; i <= 6; ++i) through->step(gradient(i), 0.01), second->step(gradient(i), 0.01);
    EXPECT_TRUE(at::equal(straight, resumed)) << options;
  }
}

TEST(Optimizer, UpdatesParametersThatRequireGradients) {
  for (const std::string& options : all_with_state()) {
    const at::Tensor p = gradient(0).requires_grad_();
    const at::Tensor before = p.detach().clone();
    make(options, p)->step(gradient(1), 0.01);
    EXPECT_FALSE(at::equal(p.detach(), before)) << options;
    EXPECT_TRUE(p.is_leaf());
  }
}

TEST(Optimizer, RefusesAStateThatIsNotItsOwn) {
  const auto adam = make(R"({"type": "adam"})", tensor({1, 2}, {2}));
  NamedTensors state = adam->state();
  state["exp_avg"] = tensor({1}, {1});
  EXPECT_EQ(error_of<DataError>([&] { adam->load_state(state); }),
            "optimizer state \"exp_avg\": expected Double [2], found Double [1]");
  state.erase("exp_avg");
  EXPECT_EQ(error_of<DataError>([&] { adam->load_state(state); }), "optimizer state \"exp_avg\" is missing");
  state["momentum_buffer"] = tensor({1, 2}, {2});
  EXPECT_EQ(error_of<DataError>([&] { adam->load_state(state); }),
            "optimizer state \"momentum_buffer\": this optimizer has no such tensor");
}

TEST(Optimizer, ClipsTheNormOfAllParameters) {
  const at::Tensor p = tensor({0, 0}, {2});
  const auto sgd = make(R"({"type": "sgd"})", p);
  at::Tensor g = tensor({3, 4}, {2});
  const UpdateResult clipped = clipped_step(*sgd, g, 1.0, 1.0);
  EXPECT_EQ(clipped.gradient_norm, 5.0);
  EXPECT_TRUE(clipped.applied);
  expect_close(p, tensor({-3 / (5 + 1e-6), -4 / (5 + 1e-6)}, {2}));
  g = tensor({3, 4}, {2});
  clipped_step(*sgd, g, 1.0, 10.0);
  expect_close(g, tensor({3, 4}, {2}), 0.0);
}

TEST(Optimizer, SkipsAnUpdateWhoseNormIsNan) {
  for (const std::string& options : all_with_state()) {
    const at::Tensor p = tensor({1, 2}, {2});
    const auto optimizer = make(options, p);
    at::Tensor g = tensor({1, std::numeric_limits<double>::quiet_NaN()}, {2});
    EXPECT_FALSE(clipped_step(*optimizer, g, 1.0, 1.0).applied);
    expect_close(p, tensor({1, 2}, {2}), 0.0);
    for (const auto& [name, state] : optimizer->state()) EXPECT_EQ(state.abs().max().item<double>(), 0.0) << name;
  }
}

TEST(Optimizer, RefusesOtherShapes) {
  const auto sgd = make(R"({"type": "sgd"})", tensor({1, 2}, {2}));
  EXPECT_EQ(error_of<ShapeError>([&] { sgd->step(tensor({1}, {1}), 1.0); }),
            "optimizer: expected a gradient of 2 elements, found the shape [1]");
  EXPECT_EQ(error_of<ShapeError>([] {
              make(R"({"type": "sgd"})", tensor({1, 2}, {1, 2}));
            }),
            "optimizer: expected a contiguous vector of parameters, found the shape [1, 2]");
}

}  // namespace
}  // namespace strata

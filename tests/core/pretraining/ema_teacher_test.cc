#include "core/pretraining/ema_teacher.h"

#include "core/pretraining/leaf_parameters.h"
#include "core/pretraining/trainable.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

EncoderConfig tiny() {
  EncoderConfig config = data2vec_config();
  config.conv_dim.assign(7, 4);
  config.hidden_size = 16;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 8;
  return config;
}

/// A student whose every value is `value`.
Parameters student(double value) {
  Parameters parameters;
  for (const WeightSpec& spec : encoder_weights(tiny()))
    parameters.add(spec.name, tensor(std::vector<double>(1, value), {1}).expand(spec.shape).clone());
  return parameters;
}

double value_of(const EmaTeacher& teacher, const std::string& name) {
  return teacher.state().at(name).flatten()[0].item<double>();
}

// Decay from 0.5 to 0.9 over 4 updates: 0.6 after update 1, 0.7 after 2, 0.8 after 3, then 0.9.
TEST(EmaOptions, DecayGoesInAStraightLine) {
  const EmaOptions options{0.5, 0.9, 4};
  for (const auto& [step, decay] : {std::pair{1, 0.6}, {2, 0.7}, {3, 0.8}, {4, 0.9}, {100, 0.9}})
    EXPECT_NEAR(options.at(step), decay, 1e-12) << step;
  EXPECT_EQ((EmaOptions{0.5, 0.9, 0}.at(1)), 0.9);
}

// The student is at 1, then at 2, then at 4. The teacher: 1; then 0.6 * 1 + 0.4 * 2 = 1.4; then 0.7 * 1.4 + 0.3 * 4
// = 2.18.
TEST(EmaTeacher, UpdateByHand) {
  EmaTeacher teacher(tiny(), {0.5, 0.9, 4});
  teacher.start(student(1));
  const std::string layer = "encoder.layers.1.feed_forward.output_dense.weight";
  EXPECT_EQ(value_of(teacher, layer), 1.0);
  teacher.follow(student(2), 1);
  EXPECT_NEAR(value_of(teacher, layer), 1.4, 1e-12);
  EXPECT_NEAR(value_of(teacher, "encoder.layer_norm.bias"), 1.4, 1e-12);
  teacher.follow(student(4), 2);
  EXPECT_NEAR(value_of(teacher, layer), 2.18, 1e-12);
  EXPECT_EQ(value_of(teacher, "encoder.pos_conv_embed.layers.0.conv.weight"), 4.0) << "the student's own";
  for (const auto& [name, tensor] : teacher.state()) EXPECT_TRUE(name.starts_with("encoder.")) << name;
}

TEST(EmaTeacher, KeepsACopyNotTheStudent) {
  EmaTeacher teacher(tiny(), {});
  const Parameters parameters = student(1);
  teacher.start(parameters);
  for (const auto& [name, values] : parameters.items()) values.fill_(7);
  for (const auto& [name, values] : teacher.state()) EXPECT_EQ(values.flatten()[0].item<double>(), 1.0) << name;
}

TEST(EmaTeacher, GivesTheFeedForwardOutputsOfItsTopLayers) {
  const std::vector<WeightSpec> weights = encoder_weights(tiny());
  const std::vector<ParameterSpec> specs = parameters_of(weights);
  const Parameters parameters = view_parameters(specs, initial_weights(weights, 1).to(at::kDouble));
  EmaTeacher teacher(tiny(), {});
  EXPECT_THROW(teacher.feed_forward_outputs(random_tensor({6, 16}, 1), 1), InternalError);
  teacher.start(parameters);
  const at::Tensor projected = random_tensor({6, 16}, 1), kept = projected.clone();
  const std::vector<at::Tensor> both = teacher.feed_forward_outputs(projected, 2);
  ASSERT_EQ(both.size(), 2u);
  EXPECT_TRUE(teacher.feed_forward_outputs(projected, 1)[0].equal(both[1])) << "the last layer";
  EXPECT_TRUE(projected.equal(kept));
  // The last layer with a feed forward part of zeroes but for its bias gives that bias.
  parameters["encoder.layers.1.feed_forward.output_dense.weight"].zero_();
  parameters["encoder.layers.1.feed_forward.output_dense.bias"].fill_(3.0);
  teacher.start(parameters);
  EXPECT_TRUE(teacher.feed_forward_outputs(projected, 1)[0].eq(3.0).all().item<bool>());
}

}  // namespace
}  // namespace strata

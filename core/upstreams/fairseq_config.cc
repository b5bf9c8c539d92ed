#include "core/upstreams/fairseq_config.h"

#include <fmt/format.h>

#include <charconv>

#include "core/base/error.h"

namespace strata {
namespace {

using pickle::Value;

constexpr int kDeepest = 8;               // wrappers around a value, one in the other
constexpr std::size_t kMostLayers = 100;  // of the stem

const Value* entry(const Value& dict, std::string_view key) {
  const auto* items = dict.as<pickle::Dict>();
  if (!items) return nullptr;
  for (const auto& [name, value] : *items->items) {
    const auto* text = name.as<std::string_view>();
    if (text && *text == key) return &value;
  }
  return nullptr;
}

// What a value stands for: the content of an OmegaConf node, the text of an enum (an object called with one text).
const Value* unwrap(const Value* value) {
  for (int depth = 0; value && depth < kDeepest; ++depth) {
    const auto* object = value->as<pickle::Object>();
    if (!object) return value;
    const pickle::Instance& instance = *object->instance;
    const Value* inner = entry(instance.state, "_content");
    if (!inner) inner = entry(instance.state, "_val");
    if (!inner && instance.arguments->size() == 1 && (*instance.arguments)[0].as<std::string_view>())
      inner = instance.arguments->data();
    if (!inner) return instance.state.as<pickle::Dict>() ? &instance.state : value;  // a Namespace
    value = inner;
  }
  return value;
}

std::optional<Json> scalar(const Value& value) {
  if (const auto* flag = value.as<bool>()) return Json(*flag);
  if (const auto* integer = value.as<std::int64_t>()) return Json(*integer);
  if (const auto* real = value.as<double>()) return Json(*real);
  if (const auto* text = value.as<std::string_view>()) return Json(printable(*text));
  return std::nullopt;
}

/// A reader of the expression, from left to right.
class Expression {
 public:
  Expression(std::string_view text, const std::string& place) : text_(text), rest_(text), place_(place) {}

  ConvLayers read() {
    do {
      sum();
    } while (take('+'));
    if (!rest_.empty()) fail();
    return std::move(layers_);
  }

 private:
  [[noreturn]] void fail() const {
    throw DataError(fmt::format("{}: \"{}\" is not a sum of lists such as [(512,10,5)] + [(512,3,2)] * 4", place_,
                                printable(text_)));
  }

  bool take(char c) {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!take(c)) fail();
  }

  std::int64_t number() {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) fail();
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  void sum() {
    const std::size_t first = layers_.dim.size();
    expect('[');
    while (!take(']')) {
      expect('(');
      layers_.dim.push_back(number());
      expect(',');
      layers_.kernel.push_back(number());
      expect(',');
      layers_.stride.push_back(number());
      expect(')');
      if (!take(',')) {
        expect(']');
        break;
      }
    }
    const std::int64_t times = take('*') ? number() : 1;
    const std::size_t count = layers_.dim.size() - first;
    if (times < 0 || layers_.dim.size() > kMostLayers || static_cast<std::uint64_t>(times) > kMostLayers) fail();
    if (times == 0) {
      for (auto* list : {&layers_.dim, &layers_.kernel, &layers_.stride}) list->resize(first);
    }
    for (std::int64_t t = 1; t < times; ++t) {
      for (auto* list : {&layers_.dim, &layers_.kernel, &layers_.stride}) {
        for (std::size_t i = 0; i < count; ++i) list->push_back((*list)[first + i]);
      }
    }
    if (layers_.dim.size() > kMostLayers) fail();
  }

  std::string_view text_, rest_;
  const std::string& place_;
  ConvLayers layers_;
};

}  // namespace

const Value* FairseqConfig::find(std::string_view key) const {
  const Value* settings = unwrap(value_);
  const Value* found = settings ? unwrap(entry(*settings, key)) : nullptr;
  return found && !found->as<pickle::None>() ? found : nullptr;
}

std::optional<FairseqConfig> FairseqConfig::child(std::string_view key) const {
  const Value* found = find(key);
  if (!found) return std::nullopt;
  return FairseqConfig(*found, fmt::format("{}.{}", place_, key));
}

void FairseqConfig::fail(std::string_view key, const std::string& message) const {
  throw DataError(fmt::format("{}.{}: {}", place_, key, message));
}

Json FairseqConfig::require(std::string_view key) const {
  const Value* found = find(key);
  if (!found) fail(key, "this key is missing");
  const auto* array = found->as<pickle::Array>();
  const auto* tuple = found->as<pickle::Tuple>();
  if (const pickle::List* items = array ? array->items : tuple ? tuple->items : nullptr) {
    Json values = Json::array();
    for (const Value& item : *items) {
      const Value* inner = unwrap(&item);
      const auto value = inner ? scalar(*inner) : std::nullopt;
      if (!value) fail(key, "it is a list of something else than numbers and text");
      values.push_back(*value);
    }
    return values;
  }
  const auto value = scalar(*found);
  if (!value) fail(key, "it is neither a number nor text");
  return *value;
}

std::string FairseqConfig::text(std::string_view key, const std::string& otherwise) const {
  const Value* found = find(key);
  if (!found) return otherwise;
  const auto* text = found->as<std::string_view>();
  if (!text) fail(key, "it is no text");
  return std::string(*text);
}

bool FairseqConfig::flag(std::string_view key, bool otherwise) const {
  const Value* found = find(key);
  if (!found) return otherwise;
  const bool* flag = found->as<bool>();
  if (!flag) fail(key, "it is neither true nor false");
  return *flag;
}

ConvLayers read_conv_layers(std::string_view expression, const std::string& place) {
  return Expression(expression, place).read();
}

}  // namespace strata

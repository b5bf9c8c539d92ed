#include "trainers/report/tensorboard.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

namespace strata {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

template <class T>
std::string bytes_of(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

/// CRC-32C (Castagnoli), reflected, as TFRecord masks it. A library for these few lines would be one more package.
std::uint32_t masked_crc(const std::string& data) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit) made[i] = made[i] >> 1 ^ (made[i] & 1 ? 0x82f63b78u : 0);
    }
    return made;
  }();
  std::uint32_t crc = ~0u;
  for (const char c : data) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

// The few forms of a protocol buffer's fields that an Event needs; numbers of fields are TensorFlow's.
std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 0x80; value >>= 7) text += static_cast<char>(value | 0x80);
  return text + static_cast<char>(value);
}
std::string number_field(int field, std::uint64_t value) { return varint(static_cast<std::uint64_t>(field) << 3) + varint(value); }
std::string double_field(int field, double value) { return varint(static_cast<std::uint64_t>(field) << 3 | 1) + bytes_of(value); }
std::string float_field(int field, float value) { return varint(static_cast<std::uint64_t>(field) << 3 | 5) + bytes_of(value); }
std::string text_field(int field, const std::string& value) { return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) + value; }

/// Summary.Value of a number.
std::string scalar(const std::string& tag, const Json& value) {
  if (!value.is_number()) return "";
  return text_field(1, text_field(1, tag) + float_field(2, value.get<float>()));
}

/// Summary.Value of a text: a tensor of one string, for the plugin "text".
std::string text(const std::string& tag, const std::string& value) {
  constexpr int kString = 7;
  const std::string shape = text_field(2, number_field(1, 1));
  const std::string tensor = number_field(1, kString) + text_field(2, shape) + text_field(8, value);
  const std::string metadata = text_field(1, text_field(1, "text"));
  return text_field(1, text_field(1, tag) + text_field(8, tensor) + text_field(9, metadata));
}

}  // namespace

TensorboardWriter::TensorboardWriter(const fs::path& folder, const std::string& description, double start)
    : path_(folder / fmt::format("events.out.tfevents.{:010.0f}.strata", start)), start_(start) {
  fs::remove_all(folder);
  make_folder(folder);
  out_.open(path_, std::ios::binary);
  append(0, start, "");
  append(0, start, text("trial", description));
}

void TensorboardWriter::add(const Json& evaluation) {
  std::string summary;
  for (const char* name : {"loss", "grad_norm", "learning_rate"}) {
    const std::string key = std::string(name) == "loss" ? "train_loss" : name;
    summary += scalar(std::string("train/") + name, evaluation.value(key, Json()));
  }
  for (const auto& [name, value] : evaluation.at("dev").items()) {
    if (name != "utterances") summary += scalar("dev/" + name, value);
  }
  const Json weights = evaluation.value("weights", Json::object());
  for (const auto& [name, values] : weights.items()) {
    for (std::size_t i = 0; i < values.size(); ++i) summary += scalar(fmt::format("weights/{}/{}", name, i), values[i]);
  }
  append(evaluation.at("step"), start_ + evaluation.at("seconds").get<double>(), summary);
}

/// An Event; without a summary it is the first, which tells the version of the format.
void TensorboardWriter::append(std::int64_t step, double wall_time, const std::string& summary) {
  std::string event = double_field(1, wall_time);
  if (step != 0) event += number_field(2, static_cast<std::uint64_t>(step));
  event += summary.empty() ? text_field(3, "brain.Event:2") : text_field(5, summary);
  const std::string length = bytes_of<std::uint64_t>(event.size());
  out_ << length << bytes_of(masked_crc(length)) << event << bytes_of(masked_crc(event)) << std::flush;
  if (!out_) throw FileError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
}

}  // namespace strata

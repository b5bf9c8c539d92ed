#include "core/base/random.h"

#include <cmath>
#include <numbers>

#include "core/base/hash.h"

namespace strata {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ULL;

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

RandomStream::RandomStream(std::initializer_list<std::uint64_t> key) {
  for (const std::uint64_t part : key) state_ = mix(state_ + kGolden + mix(part + kGolden));
}

std::uint64_t RandomStream::next() { return mix(state_ += kGolden); }

std::uint64_t RandomStream::below(std::uint64_t bound) {
  const std::uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound: the surplus that would bias the remainder
  std::uint64_t draw = next();
  while (draw < rejected) draw = next();
  return draw % bound;
}

double RandomStream::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t key_of(std::string_view name) { return xxh3(std::as_bytes(std::span(name.data(), name.size()))); }

}  // namespace strata

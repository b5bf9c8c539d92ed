#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/config/json.h"

namespace strata {

/// Changes files as a fault, an accident or an attacker would; what it does follows from the seed alone.
class Mutator {
 public:
  explicit Mutator(std::initializer_list<std::uint64_t> key) : random_(key) {}

  /// One to four changes of bytes between `first` and `last`: other values, insertions, deletions, repetitions, numbers
  /// at the edges of their types, an early end.
  std::string bytes(std::string content, std::size_t first, std::size_t last);
  std::string bytes(const std::string& content) { return bytes(content, 0, content.size()); }

  /// One to three changes of a JSON value that leave it JSON: other types, edges of numbers, long text, deep nesting,
  /// missing, renamed and swapped keys. Now and then `bytes` on top.
  std::string json(const std::string& content);

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }

 private:
  std::string number();
  void change(Json& value);
  Json* pick(Json& value);
  Json odd_value();

  RandomStream random_;
};

}  // namespace strata

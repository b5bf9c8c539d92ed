#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/tensor/safetensors.h"

namespace strata::pickle {

/// A value on the stack of a pickle. A pickle is a program; this reader runs the part of it that builds plain values
/// and asks its caller for anything else, so that nothing but what the caller knows can be called.
struct Value;
using List = std::vector<Value>;
using Items = std::vector<std::pair<Value, Value>>;
struct None {};
struct Mark {};
struct Global {
  std::string module, name;
};
struct Tuple {
  const List* items;
};
struct Dict {
  Items* items;
};
struct Array {
  List* items;
};
struct Value {
  std::variant<None, Mark, bool, std::int64_t, double, std::string, Global, Tuple, Dict, Array, at::Tensor> is;

  /// The alternative asked for, or nullptr.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&is);
  }
};

/// Owns the containers of a pickle. They refer to each other freely, as deep and as circular as a hostile stream likes,
/// and go together, without recursion.
struct Arena {
  std::deque<List> lists;
  std::deque<Items> dicts;
};

struct Hooks {
  /// What a persistent id stands for.
  std::function<Value(const Value& id)> load;
  /// The result of calling `callee` with these arguments.
  std::function<Value(const Global& callee, const List& arguments)> call;
};

/// Runs the opcodes that torch.save emits (protocols 2 to 4). Throws DataError starting with `place`: an opcode that is
/// not among them, or a damaged stream. The value lives as long as `arena`.
Value load(std::string_view bytes, const std::string& place, const Hooks& hooks, Arena& arena);

}  // namespace strata::pickle

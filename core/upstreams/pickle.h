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
/// and asks its caller for anything else, so that nothing but what the caller knows can be called. Text is a view of
/// the stream, so that a value takes the same few bytes whatever it recalls and however often.
struct Value;
struct Instance;
using List = std::vector<Value>;
using Items = std::vector<std::pair<Value, Value>>;
struct None {};
struct Mark {};
struct Global {
  std::string_view module, name;
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
/// An object of a class that is not known here: what it was made of, never made.
struct Object {
  Instance* instance;
};
struct Value {
  std::variant<None, Mark, bool, std::int64_t, double, std::string_view, Global, Tuple, Dict, Array, Object, at::Tensor>
      is;

  /// The alternative asked for, or nullptr.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&is);
  }
};
struct Instance {
  Global type;
  const List* arguments;  // with which it was to be called
  Value state;            // what was to be put into it afterwards; None: nothing
};

/// Owns the containers of a pickle. They refer to each other freely, as deep and as circular as a hostile stream likes,
/// and go together, without recursion.
struct Arena {
  std::deque<List> lists;
  std::deque<Items> dicts;
  std::deque<Instance> objects;
};

struct Hooks {
  /// What a persistent id stands for.
  std::function<Value(const Value& id)> load;
  /// The result of calling `callee` with these arguments, which live in the arena.
  std::function<Value(const Global& callee, const List* arguments)> call;
};

/// Runs the opcodes that Python's pickler emits for plain values, and with which torch.save has tensors rebuilt
/// (protocols 2 to 4). Memory stays within a small multiple of the stream's length (about 200 bytes a byte at worst).
///   bytes   starts with a pickle; must outlive the value
///   length  if given, receives how many bytes the pickle has
/// Throws DataError starting with `place`: an opcode that is not among them, or a damaged stream. The value lives as
/// long as `arena`.
Value load(std::string_view bytes, const std::string& place, const Hooks& hooks, Arena& arena,
           std::size_t* length = nullptr);

}  // namespace strata::pickle

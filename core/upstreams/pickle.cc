#include "core/upstreams/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "core/base/error.h"

namespace strata::pickle {
namespace {

// Opcodes by the names they have in Python's pickletools.
enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kNone = 'N',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinFloat = 'G',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinUnicode = 'X',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinBytes8 = 0x8e,
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kSetItem = 's',
  kSetItems = 'u',
  kAppend = 'a',
  kAppends = 'e',
  kGlobal = 'c',
  kStackGlobal = 0x93,
  kReduce = 'R',
  kNewObject = 0x81,
  kBuild = 'b',
  kBinPersId = 'Q',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kMemoize = 0x94,
  kProto = 0x80,
  kFrame = 0x95,
};

class Machine {
 public:
  Machine(std::string_view bytes, const std::string& place, const Hooks& hooks, Arena& arena)
      : bytes_(bytes), place_(place), hooks_(hooks), arena_(arena) {}

  std::size_t position() const { return at_; }

  Value run() {
    for (;;) {
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == kStop) return pop();
      if (!push_scalar(opcode) && !push_container(opcode) && !use_memo(opcode) && !call(opcode)) {
        fail(fmt::format("opcode 0x{:02x} at byte {} is not one that is read", opcode, at_ - 1));
      }
    }
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw DataError(place_ + ": " + message); }

  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) fail("its pickle ends too early");
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }

  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("its pickle ends too early");
    const std::string_view text = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  template <class T>
  void push(T value) {
    stack_.push_back({std::move(value)});
  }

  Value pop() {
    if (stack_.empty()) fail("its pickle takes more from the stack than is there");
    Value top = std::move(stack_.back());
    stack_.pop_back();
    return top;
  }

  // Everything above the last mark, which is dropped.
  List pop_to_mark() {
    const auto mark =
        std::find_if(stack_.rbegin(), stack_.rend(), [](const Value& v) { return v.as<Mark>() != nullptr; });
    if (mark == stack_.rend()) fail("its pickle has no mark where one is needed");
    List above(std::make_move_iterator(mark.base()), std::make_move_iterator(stack_.end()));
    stack_.erase(mark.base() - 1, stack_.end());
    return above;
  }

  List pop_several(std::size_t count) {
    List items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }

  template <class T>
  const T& expect(const Value& value, const char* what) const {
    const T* found = value.as<T>();
    if (!found) fail(fmt::format("its pickle has something else where {} belongs", what));
    return *found;
  }

  const Value& top() const {
    if (stack_.empty()) fail("its pickle takes more from the stack than is there");
    return stack_.back();
  }

  // Little-endian two's complement. Integers of more than 64 bits, which no size or index is, become None.
  Value long_integer(std::size_t size) {
    const std::string_view digits = take(size);
    if (size > 8) return {None{}};
    std::uint64_t value = size > 0 && (digits[size - 1] & 0x80) ? ~std::uint64_t{0} : 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(digits[i]);
    return {static_cast<std::int64_t>(value)};
  }

  double big_endian_double() {
    std::string digits(take(8));
    std::reverse(digits.begin(), digits.end());
    double value;
    std::memcpy(&value, digits.data(), sizeof value);
    return value;
  }

  bool push_scalar(unsigned char opcode) {
    switch (opcode) {
      case kNone:
        push(None{});
        return true;
      case kMark:
        push(Mark{});
        return true;
      case kNewTrue:
        push(true);
        return true;
      case kNewFalse:
        push(false);
        return true;
      case kBinInt:
        push(std::int64_t{number<std::int32_t>()});
        return true;
      case kBinInt1:
        push(std::int64_t{number<std::uint8_t>()});
        return true;
      case kBinInt2:
        push(std::int64_t{number<std::uint16_t>()});
        return true;
      case kLong1:
        stack_.push_back(long_integer(number<std::uint8_t>()));
        return true;
      case kLong4:
        stack_.push_back(long_integer(number<std::uint32_t>()));
        return true;
      case kBinFloat:
        push(big_endian_double());
        return true;
      case kBinUnicode:
      case kBinBytes:
        push(take(number<std::uint32_t>()));
        return true;
      case kShortBinUnicode:
      case kShortBinBytes:
        push(take(number<std::uint8_t>()));
        return true;
      case kBinUnicode8:
      case kBinBytes8:
        push(take(number<std::uint64_t>()));
        return true;
      default:
        return false;
    }
  }

  void push_tuple(List items) { push(Tuple{&arena_.lists.emplace_back(std::move(items))}); }

  // What is put into an object of an unknown class (one derived from a dictionary or a list) is dropped.
  void set_items(const List& pairs) {
    if (top().as<Object>()) return;
    const Dict& dict = expect<Dict>(top(), "a dictionary");
    if (pairs.size() % 2 != 0) fail("its pickle has a key without a value");
    for (std::size_t i = 0; i < pairs.size(); i += 2) dict.items->emplace_back(pairs[i], pairs[i + 1]);
  }

  void append(const List& items) {
    if (top().as<Object>()) return;
    List& list = *expect<Array>(top(), "a list").items;
    list.insert(list.end(), items.begin(), items.end());
  }

  bool push_container(unsigned char opcode) {
    switch (opcode) {
      case kEmptyTuple:
        push_tuple({});
        return true;
      case kTuple:
      case kFrozenSet:
        push_tuple(pop_to_mark());
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_tuple(pop_several(opcode - kTuple1 + 1));
        return true;
      case kEmptyDict:
        push(Dict{&arena_.dicts.emplace_back()});
        return true;
      case kEmptyList:
      case kEmptySet:
        push(Array{&arena_.lists.emplace_back()});
        return true;
      case kSetItem:
        set_items(pop_several(2));
        return true;
      case kSetItems:
        set_items(pop_to_mark());
        return true;
      case kAppend:
        append(pop_several(1));
        return true;
      case kAppends:
      case kAddItems:
        append(pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  void recall(std::uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("its pickle recalls what it did not store");
    stack_.push_back(found->second);
  }

  bool use_memo(unsigned char opcode) {
    switch (opcode) {
      case kBinPut: {
        const auto key = number<std::uint8_t>();
        memo_[key] = top();
        return true;
      }
      case kLongBinPut: {
        const auto key = number<std::uint32_t>();
        memo_[key] = top();
        return true;
      }
      case kMemoize: {
        const auto key = static_cast<std::uint32_t>(memo_.size());
        memo_[key] = top();
        return true;
      }
      case kBinGet:
        recall(number<std::uint8_t>());
        return true;
      case kLongBinGet:
        recall(number<std::uint32_t>());
        return true;
      default:
        return false;
    }
  }

  bool call(unsigned char opcode) {
    switch (opcode) {
      case kProto: {
        const int version = number<std::uint8_t>();
        if (version < 2 || version > 4) fail(fmt::format("its pickle has protocol {}; 2 to 4 are read", version));
        return true;
      }
      case kFrame:
        number<std::uint64_t>();
        return true;
      case kGlobal: {
        const std::string_view module = line();
        push(Global{module, line()});
        return true;
      }
      case kStackGlobal: {
        const List names = pop_several(2);
        push(Global{expect<std::string_view>(names[0], "a module's name"),
                    expect<std::string_view>(names[1], "a name")});
        return true;
      }
      case kReduce:
      case kNewObject: {
        const List pair = pop_several(2);
        stack_.push_back(hooks_.call(expect<Global>(pair[0], "a function"), expect<Tuple>(pair[1], "arguments").items));
        return true;
      }
      case kBinPersId: {
        const Value id = pop();
        stack_.push_back(hooks_.load(id));
        return true;
      }
      case kBuild: {
        Value state = pop();
        // Attributes of anything else, such as a state_dict's _metadata, are not needed.
        if (const Object* object = top().as<Object>()) object->instance->state = std::move(state);
        return true;
      }
      case kPop:
        pop();
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kDup:
        stack_.push_back(Value(top()));
        return true;
      default:
        return false;
    }
  }

  std::string_view bytes_;
  const std::string& place_;
  const Hooks& hooks_;
  Arena& arena_;
  std::size_t at_ = 0;
  List stack_;
  std::map<std::uint32_t, Value> memo_;
};

}  // namespace

Value load(std::string_view bytes, const std::string& place, const Hooks& hooks, Arena& arena, std::size_t* length) {
  Machine machine(bytes, place, hooks, arena);
  const Value value = machine.run();
  if (length) *length = machine.position();
  return value;
}

}  // namespace strata::pickle

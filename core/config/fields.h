#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// Allowed values of a number, both ends included.
struct Range {
  double lowest = -std::numeric_limits<double>::infinity();
  double highest = std::numeric_limits<double>::infinity();
};
inline Range at_least(double lowest) { return {lowest, std::numeric_limits<double>::infinity()}; }
inline Range between(double lowest, double highest) { return {lowest, highest}; }

/// A visitor over the options of a component. A component describes its options once:
///
///     struct HConvOptions {
///       int64_t kernel_size = 5;
///       void fields(Fields& f) { f.number("kernel_size", kernel_size, "layers a convolution sees", at_least(1)); }
///     };
///
/// and is then read from JSON (FieldReader), written to JSON with its defaults filled in (FieldWriter) and listed
/// (FieldLister) by the same lines.
class Fields {
 public:
  virtual ~Fields() = default;
  virtual void number(const char* key, std::int64_t& value, const char* meaning, Range range = {}) = 0;
  virtual void number(const char* key, double& value, const char* meaning, Range range = {}) = 0;
  virtual void flag(const char* key, bool& value, const char* meaning) = 0;
  /// `allowed` empty: any text.
  virtual void text(const char* key, std::string& value, const char* meaning, std::vector<std::string> allowed = {}) = 0;
  virtual void numbers(const char* key, std::vector<std::int64_t>& value, const char* meaning) = 0;
  virtual void numbers(const char* key, std::vector<double>& value, const char* meaning) = 0;
  virtual void texts(const char* key, std::vector<std::string>& value, const char* meaning) = 0;
  /// An integer or a string.
  virtual void index_or_name(const char* key, Json& value, const char* meaning) { json(key, value, meaning); }
  /// Any JSON value: for parts whose structure another component reads.
  virtual void json(const char* key, Json& value, const char* meaning) = 0;
};

/// A JSON object being consumed. What is left over when `finish` is called is an error.
/// Every error is a ConfigError with file, JSON path, value, what is allowed and the nearest name.
class FieldReader : public Fields {
 public:
  /// `file` and `path` (such as "/sweep/0/interface") are named in errors. Throws if `value` is not an object.
  FieldReader(Json value, std::string file, std::string path = "");

  void number(const char* key, std::int64_t& value, const char* meaning, Range range = {}) override;
  void number(const char* key, double& value, const char* meaning, Range range = {}) override;
  void flag(const char* key, bool& value, const char* meaning) override;
  void text(const char* key, std::string& value, const char* meaning, std::vector<std::string> allowed = {}) override;
  void numbers(const char* key, std::vector<std::int64_t>& value, const char* meaning) override;
  void numbers(const char* key, std::vector<double>& value, const char* meaning) override;
  void texts(const char* key, std::vector<std::string>& value, const char* meaning) override;
  void index_or_name(const char* key, Json& value, const char* meaning) override;
  void json(const char* key, Json& value, const char* meaning) override;

  bool has(const std::string& key) const { return value_.contains(key); }
  /// The keys of the object, in order.
  std::vector<std::string> keys() const;
  /// Takes the value of `key`; throws if it is not there.
  Json require(const std::string& key);
  /// A reader of the object under `key`; throws if it is not there or no object.
  FieldReader child(const std::string& key);
  /// Throws if keys are left that nobody asked for. `who` names the component in the message.
  void finish(const std::string& who) const;

  /// "file path/key: message" as a ConfigError.
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;
  const std::string& file() const { return file_; }
  const std::string& path() const { return path_; }

 private:
  std::optional<Json> take(const char* key);

  Json value_;
  std::string file_;
  std::string path_;
  std::set<std::string> used_;   // taken
  std::set<std::string> asked_;  // known to the component, for the nearest name
};

/// Collects the values into a JSON object.
class FieldWriter : public Fields {
 public:
  void number(const char* key, std::int64_t& value, const char*, Range = {}) override { object[key] = value; }
  void number(const char* key, double& value, const char*, Range = {}) override { object[key] = value; }
  void flag(const char* key, bool& value, const char*) override { object[key] = value; }
  void text(const char* key, std::string& value, const char*, std::vector<std::string> = {}) override { object[key] = value; }
  void numbers(const char* key, std::vector<std::int64_t>& value, const char*) override { object[key] = value; }
  void numbers(const char* key, std::vector<double>& value, const char*) override { object[key] = value; }
  void texts(const char* key, std::vector<std::string>& value, const char*) override { object[key] = value; }
  void json(const char* key, Json& value, const char*) override { object[key] = value; }

  Json object = Json::object();
};

/// One option as `strata list` shows it.
struct FieldDescription {
  std::string key;
  std::string type;     // "integer", "number", "boolean", "string", "array", "any"
  Json default_value;
  std::string meaning;
  std::string allowed;  // "" if anything of the type
};

/// Lists the options of a component with the values it has, which are the defaults of a fresh one.
class FieldLister : public Fields {
 public:
  void number(const char* key, std::int64_t& value, const char* meaning, Range range = {}) override;
  void number(const char* key, double& value, const char* meaning, Range range = {}) override;
  void flag(const char* key, bool& value, const char* meaning) override;
  void text(const char* key, std::string& value, const char* meaning, std::vector<std::string> allowed = {}) override;
  void numbers(const char* key, std::vector<std::int64_t>& value, const char* meaning) override;
  void numbers(const char* key, std::vector<double>& value, const char* meaning) override;
  void texts(const char* key, std::vector<std::string>& value, const char* meaning) override;
  void json(const char* key, Json& value, const char* meaning) override;

  std::vector<FieldDescription> fields;
};

/// `options.fields` written to JSON.
template <class Options>
Json options_to_json(Options options) {
  FieldWriter writer;
  options.fields(writer);
  return std::move(writer.object);
}

}  // namespace strata

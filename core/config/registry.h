#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/nearest.h"
#include "core/config/fields.h"

namespace strata {

/// The variants of one pluggable kind, by name. `Product` has `static constexpr const char* kKind` ("interface").
/// `Context` is what a factory needs besides its options (widths, paths).
template <class Product, class... Context>
class Registry {
 public:
  struct Entry {
    std::string summary;  // one line
    /// Reads the options under the reader's object (all of it, `type` included) and checks them; no product is made.
    /// Returns them with the defaults filled in.
    std::function<Json(FieldReader&)> resolve;
    std::function<std::unique_ptr<Product>(FieldReader&, Context...)> make;
    std::function<std::vector<FieldDescription>()> options;
  };

  /// A function-local static, so that registrations of other files find it whatever the order of their start.
  static std::map<std::string, Entry>& entries() {
    static std::map<std::string, Entry> all;
    return all;
  }

  static std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const auto& [name, entry] : entries()) all.push_back(name);
    return all;
  }

  static bool contains(const std::string& name) { return entries().contains(name); }

  /// Throws ConfigError with the nearest name if there is no such variant.
  static const Entry& find(const FieldReader& place, const std::string& key, const std::string& name) {
    const auto found = entries().find(name);
    if (found != entries().end()) return found->second;
    std::string known;
    for (const std::string& n : names()) known += (known.empty() ? "" : ", ") + n;
    const std::string hint = did_you_mean(name, names());
    place.fail(key, "unknown " + std::string(Product::kKind) + " \"" + name + "\"" + (hint.empty() ? ";" : hint) + " known: " + known);
  }

  /// Makes the variant that `reader`'s key `type` names from the other keys of the object.
  static std::unique_ptr<Product> make(FieldReader reader, Context... context) {
    return find_by_type(reader).make(reader, context...);
  }

  /// The options under `reader` with defaults filled in, `type` included.
  static Json resolve(FieldReader reader) {
    const Json type = reader.require("type");
    Json resolved = find_by_type(reader).resolve(reader);
    resolved["type"] = type;
    return resolved;
  }

  static bool add(const std::string& name, Entry entry) {
    if (!entries().emplace(name, std::move(entry)).second) {
      std::fprintf(stderr, "strata: %s \"%s\" is registered twice\n", Product::kKind, name.c_str());
      std::abort();
    }
    return true;
  }

  /// Registers `Variant`, constructible from (Options, Context...). Options has `void fields(Fields&)`.
  template <class Options, class Variant>
  static bool add_variant(const std::string& name, const std::string& summary) {
    const auto read = [name](FieldReader& reader) {
      reader.require("type");
      Options options;
      options.fields(reader);
      reader.finish("\"" + name + "\"");
      return options;
    };
    return add(name, {summary, [read](FieldReader& reader) { return options_to_json(read(reader)); },
                      [read](FieldReader& reader, Context... context) -> std::unique_ptr<Product> {
                        return std::make_unique<Variant>(read(reader), context...);
                      },
                      [] {
                        Options defaults;
                        FieldLister lister;
                        defaults.fields(lister);
                        return lister.fields;
                      }});
  }

 private:
  static const Entry& find_by_type(FieldReader& reader) {
    std::string name;
    reader.require("type");
    reader.text("type", name, "");
    return find(reader, "type", name);
  }
};

/// Options of a variant that takes none.
struct NoOptions {
  void fields(Fields&) {}
};

}  // namespace strata

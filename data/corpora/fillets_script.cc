#include "data/corpora/fillets_script.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/base/file.h"

namespace strata {
namespace {

/// Reads the strings in `name("a", "b")`, starting at the parenthesis.
std::vector<std::string> string_arguments(std::string_view lua, std::size_t at) {
  std::vector<std::string> strings;
  bool inside = false;
  for (; at < lua.size(); ++at) {
    const char c = lua[at];
    if (inside && c == '\\' && at + 1 < lua.size()) {
      const char next = lua[++at];
      strings.back() += next == 'n' ? '\n' : next;
    } else if (c == '"') {
      inside = !inside;
      if (inside) strings.emplace_back();
    } else if (inside) {
      strings.back() += c;
    } else if (c == ')') {
      break;
    }
  }
  return strings;
}

}  // namespace

void parse_fillets_dialogs(std::string_view lua, const std::string& level, FilletsScript& script) {
  constexpr std::string_view kId = "dialogId(", kText = "dialogStr(", kFont = "font_";
  for (std::size_t at = lua.find(kId); at != std::string_view::npos;) {
    const std::size_t next = lua.find(kId, at + kId.size());
    const std::vector<std::string> id = string_arguments(lua, at + kId.size() - 1);
    const std::size_t text_at = lua.find(kText, at);
    if (id.size() >= 2 && text_at < next) {
      const std::vector<std::string> text = string_arguments(lua, text_at + kText.size() - 1);
      const std::string speaker = id[1].starts_with(kFont) ? id[1].substr(kFont.size()) : "";
      if (!text.empty()) script.insert_or_assign({level, id[0]}, FilletsLine{speaker, text[0]});
    }
    at = next;
  }
}

FilletsScript read_fillets_script(const fs::path& folder, const std::string& language) {
  FilletsScript script;
  if (!fs::is_directory(folder)) return script;
  const std::string ending = "dialogs_" + language + ".lua";
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    const bool shared = entry.path().parent_path().filename() == "share";
    if (name == ending || (shared && name.ends_with("_" + ending))) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    parse_fillets_dialogs(read_file(file), file.parent_path().lexically_relative(folder).string(), script);
  }
  return script;
}

}  // namespace strata

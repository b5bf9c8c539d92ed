#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace strata {

/// What is said in a recording of the game Fish Fillets.
struct FilletsLine {
  std::string speaker;  // the part: "small", "big", "statue"; "" for what nobody in the game says
  std::string text;
};

/// By level ("airplane"; "share" for what is said in any of them) and name of the recording.
using FilletsScript = std::map<std::pair<std::string, std::string>, FilletsLine>;

/// Adds the pairs of lines
///     dialogId("<name>", "font_<speaker>", "<English>")
///     dialogStr("<text>")
/// of one Lua file; a backslash in a string escapes the next character. What is no such pair is passed over.
void parse_fillets_dialogs(std::string_view lua, const std::string& level, FilletsScript& script);

/// All of `<folder>/<level>/dialogs_<language>.lua` and `<folder>/share/*_dialogs_<language>.lua`; empty if `folder` is
/// not there.
FilletsScript read_fillets_script(const std::filesystem::path& folder, const std::string& language);

}  // namespace strata

#include "core/metrics/vocabulary.h"

#include <sstream>

namespace strata {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace

std::vector<std::string> phone_vocabulary() {
  return words_of(
      "<pad> <eos> <unk> SIL SPN AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 "
      "EH1 "
      "EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH "
      "UH0 UH1 UH2 UW0 UW1 UW2 V W Y Z ZH");
}

std::vector<std::string> letter_vocabulary() {
  return words_of("<s> <pad> </s> <unk> | E T A O N I H S R D L U M C W F G Y P B V K ' X J Q Z");
}

std::vector<std::string> slot_vocabulary(const std::vector<std::string>& slots) {
  std::vector<std::string> symbols = {"<pad>", "<eos>", "<unk>", " "};
  for (char letter = 'A'; letter <= 'Z'; ++letter) symbols.emplace_back(1, letter);
  symbols.emplace_back("'");
  for (const std::string& slot : slots) {
    symbols.push_back("B-" + slot);
    symbols.push_back("E-" + slot);
  }
  return symbols;
}

}  // namespace strata

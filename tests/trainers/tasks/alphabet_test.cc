#include "trainers/tasks/alphabet.h"

#include <gmock/gmock.h>

namespace strata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Alphabet, HoldsTheCharactersOfTheTextsSorted) {
  const Alphabet alphabet = Alphabet::of({"één  zee\n", "Zeeën!", "𝄞 €"});
  EXPECT_THAT(alphabet.symbols(), ElementsAre("<blank>", "<unk>", " ", "!", "Z", "e", "n", "z", "é", "ë", "€", "𝄞"));
  EXPECT_THAT(alphabet.targets(" zee één"), ElementsAre(7, 5, 5, 2, 8, 8, 6));
  EXPECT_EQ(alphabet.text({7, 5, 5, 2, 8, 8, 6, 11}), "zee één𝄞");
  EXPECT_EQ(alphabet.normalized(" a\t b "), "a b");
}

TEST(Alphabet, MarksWhatItDoesNotHold) {
  const Alphabet alphabet = Alphabet::of({"ab"});
  EXPECT_THAT(alphabet.targets("a|b"), ElementsAre(2, 1, 3));
  EXPECT_THAT(alphabet.reference("a|b"), ElementsAre(2, Alphabet::kUnknown, 3));
  EXPECT_THAT(alphabet.targets(""), IsEmpty());
}

TEST(Alphabet, DecodesGreedily) {
  const Alphabet alphabet = Alphabet::of({"ab"});
  EXPECT_THAT(alphabet.hypothesis({0, 2, 2, 0, 2, 3, 3, 0}), ElementsAre(2, 2, 3));
  EXPECT_EQ(alphabet.text({2, 1}), "a<unk>");
}

TEST(Alphabet, OfSuperbIsFairseqs) {
  const Alphabet alphabet = Alphabet::superb();
  EXPECT_EQ(alphabet.symbols().size(), 32u);
  // "GO ON" of the golden case `asr`: letters, "|" after each word, "</s>".
  EXPECT_THAT(alphabet.targets("go  on"), ElementsAre(21, 8, 4, 8, 9, 4, 2));
  EXPECT_THAT(alphabet.reference("go on"), ElementsAre(21, 8, 4, 8, 9, 4));
  EXPECT_THAT(alphabet.targets("é"), ElementsAre(3, 4, 2));
  EXPECT_THAT(alphabet.hypothesis({0, 21, 21, 8, 4, 0, 2, 8, 9, 4}), ElementsAre(21, 8, 4, 8, 9, 4));
  EXPECT_EQ(alphabet.text({21, 8, 4, 8, 9, 4}), "GO ON");
  EXPECT_EQ(alphabet.text({21, 1, 4}), "G<pad>") << "as s3prl prints it";
}

}  // namespace
}  // namespace strata

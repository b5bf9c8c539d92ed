#include "trainers/predict/predictor.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/metrics/vocabulary.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::HasSubstr;

TEST(CtcText, Characters) {
  const std::vector<std::string> symbols = {"<blank>", "<unk>", " ", "a", "b"};
  EXPECT_EQ(ctc_text({0, 3, 3, 0, 3, 2, 4, 1, 0}, symbols), "aa b<unk>");
  EXPECT_EQ(ctc_text({}, symbols), "");
}

TEST(CtcText, SuperbLetters) {
  // <s> <pad> </s> <unk> | E T A O
  EXPECT_EQ(ctc_text({0, 6, 6, 8, 0, 4, 7, 6, 4, 2}, letter_vocabulary()), "TO AT");
}

TEST(CtcText, Phones) { EXPECT_EQ(ctc_text({0, 2, 2, 0, 3}, {"<pad>", "<eos>", "SIL", "AH0"}), "SIL AH0"); }

TEST(Predictor, NeedsAFinishedTrial) {
  const fs::path folder = fresh_folder();
  EXPECT_THAT(error_of<ConfigError>([&] { Predictor(folder, ""); }), HasSubstr("there is no trial.json here"));
  write_file_atomically(folder / "trial.json", "{}");
  EXPECT_THAT(error_of<ConfigError>([&] { Predictor(folder, ""); }), HasSubstr("keeps no weights"));
  write_file_atomically(folder / "best.safetensors", "");
  EXPECT_THAT(error_of<DataError>([&] { Predictor(folder, ""); }),
              HasSubstr("trial.json: not a valid record of a trial"));
}

}  // namespace
}  // namespace strata

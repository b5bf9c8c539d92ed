#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata {

/// Campaigns of damaged model files. Whatever is in a file, opening the model and computing a few frames with it must
/// end, within seconds, in features or in an Error of one line that names the file; never in a crash, another
/// exception, or an allocation beyond the file's size: the model is opened in address space for a few copies of its
/// files. What a case is follows from (campaign, seed, case).
struct FuzzResult {
  std::int64_t accepted = 0;  // models that are whole after all
  std::int64_t refused = 0;
};

/// config: config.json and preprocessor_config.json of every family; safetensors: header and offsets; index: the list
/// of shards; torch: zip archive and pickle of pytorch_model.bin; opcodes: pickles of random opcodes; fairseq:
/// checkpoints, zipped and of old torch.
std::vector<std::string> fuzz_campaigns();

/// Runs cases first .. first + count - 1. Throws std::runtime_error, which names campaign, seed and case and leaves the
/// damaged model in `work`, for an answer that is not allowed; a case that takes more than 20 s ends the process.
FuzzResult fuzz(const std::string& campaign, std::uint64_t seed, std::int64_t first, std::int64_t count,
                const std::filesystem::path& work);

/// From now on the process may have `bytes` of address space more than it has now; more is an allocation that fails. It
/// bounds what is computed with the model; opening it has less.
void limit_memory(std::int64_t bytes);

}  // namespace strata

#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace strata {

/// Runs `work` in a process of its own and returns what it returns. For looking into shards that nobody vouches for:
/// HDF5 1.10 trusts what it reads, and a file made to harm it can end the process or keep it busy for ever. Not for MPI
/// programs.
///   file     named in the error
///   seconds  of processor time that the work may take
/// Throws DataError with the message of the Error that `work` throws, or if the process dies.
std::string apart(const std::filesystem::path& file, const std::function<std::string()>& work, int seconds = 600);

}  // namespace strata

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
/// Throws DataError with the message of the one that `work` throws, or if the process dies of the file: then the file
/// is bad. Throws FileError if it could not be looked into, which says nothing of what it holds: with the message of
/// any other error that `work` throws, or if there is no process to be had, it was killed, could not read, or took too
/// long.
std::string apart(const std::filesystem::path& file, const std::function<std::string()>& work, int seconds = 600);

}  // namespace strata

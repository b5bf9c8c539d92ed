#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace strata {

/// Starts MPI if it is not started and ends it if we started it. `main` owns the only one and outlives every Communicator.
class MpiEnvironment {
 public:
  /// Asks for MPI_THREAD_MULTIPLE, since the work server runs beside computing threads. Throws CommError if MPI lacks it,
  /// or if several tasks were started (srun, mpirun of another MPI) that do not see each other and would all do the same work.
  MpiEnvironment();
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  /// Ends all ranks at once with exit code `code`: for a rank that fails alone, lest the others wait for ever.
  [[noreturn]] static void abort(int code);

 private:
  bool owner_ = false;
};

/// A group of ranks on a duplicated or split communicator of MPI. Move-only. Not thread-safe.
/// Every operation throws CommError with operation, rank and MPI's own text.
class Communicator {
 public:
  /// A duplicate of the world.
  static Communicator world();
  ~Communicator();
  Communicator(Communicator&& other) noexcept;
  Communicator& operator=(Communicator&& other) noexcept;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Rank among the ranks of this machine, and how many they are.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }

  /// Ranks of equal `color` form a group, ordered by their rank here. Collective.
  Communicator split(int color) const;

  /// Collective. Ranks wait asleep rather than spinning, so that working ranks keep their cores.
  void barrier() const;
  /// Element-wise sum over all ranks, in place. The order of addition is fixed for a given size, so results repeat bit for bit.
  void all_reduce_sum(std::span<float> values) const;
  void all_reduce_sum(std::span<double> values) const;
  void all_reduce_max(std::span<std::int64_t> values) const;
  /// `text` of rank `root` on every rank.
  std::string broadcast(std::string text, int root) const;
  /// Every rank's text, by rank, on every rank.
  std::vector<std::string> all_gather(const std::string& text) const;

  /// Point to point, for the work server. A receive waits asleep until a message comes or `stop` says true (then false).
  void send(int to, int tag, const std::string& text) const;
  bool receive(int tag, int* from, std::string* text, const std::function<bool()>& stop) const;

 private:
  struct Handle;
  explicit Communicator(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
};

/// Runs `phase` on every rank of `ranks`, then lets them meet: if it threw a strata::Error on some, every rank throws the
/// error of the lowest rank that failed. So a study that only one machine cannot read ends all ranks with one message.
void together(const Communicator& ranks, const std::function<void()>& phase);

}  // namespace strata

#include "distributed/mpi.h"

#include <fmt/format.h>
#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "core/base/error.h"

namespace strata {
namespace {

void check(int code, const char* operation) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  throw CommError(fmt::format("rank {} of {}: {} failed: {}", rank, size, operation, std::string(text, static_cast<std::size_t>(length))));
}

/// The number of tasks that Slurm says this step has, if a step was started without MPI seeing it.
int tasks_of_slurm_step() {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  const bool launched_by_mpirun = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
  return tasks == nullptr || launched_by_mpirun ? 1 : std::atoi(tasks);
}

/// Waits for `request` asleep: short naps at first, so that a step's collective stays quick, longer ones later.
void wait_asleep(MPI_Request* request, const char* operation) {
  constexpr int kSpins = 2000;
  int done = 0;
  for (int i = 0; !done; ++i) {
    check(MPI_Test(request, &done, MPI_STATUS_IGNORE), operation);
    if (!done && i > kSpins) std::this_thread::sleep_for(std::chrono::microseconds(i < 2 * kSpins ? 50 : 1000));
  }
}

}  // namespace

MpiEnvironment::MpiEnvironment() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized) return;
  int provided = MPI_THREAD_SINGLE;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  owner_ = true;
  if (provided < MPI_THREAD_MULTIPLE) throw CommError("this MPI does not support MPI_THREAD_MULTIPLE, which Strata needs");
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size == 1 && tasks_of_slurm_step() > 1) {
    throw CommError(fmt::format("srun started {} tasks that do not see each other, so each would do all the work; use srun --mpi=pmix, or mpirun inside the job",
                                tasks_of_slurm_step()));
  }
}

MpiEnvironment::~MpiEnvironment() {
  if (owner_) MPI_Finalize();
}

void MpiEnvironment::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

struct Communicator::Handle {
  MPI_Comm comm = MPI_COMM_NULL;
  ~Handle() {
    if (comm != MPI_COMM_NULL) MPI_Comm_free(&comm);
  }
};

Communicator::Communicator(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {
  MPI_Comm comm = handle_->comm;
  check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(comm, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(comm, &size_), "MPI_Comm_size");
  Handle node;
  check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node.comm), "MPI_Comm_split_type");
  check(MPI_Comm_rank(node.comm, &local_rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(node.comm, &local_size_), "MPI_Comm_size");
}

Communicator::~Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;

Communicator Communicator::world() {
  auto handle = std::make_unique<Handle>();
  check(MPI_Comm_dup(MPI_COMM_WORLD, &handle->comm), "MPI_Comm_dup");
  return Communicator(std::move(handle));
}

Communicator Communicator::split(int color) const {
  auto handle = std::make_unique<Handle>();
  check(MPI_Comm_split(handle_->comm, color, rank_, &handle->comm), "MPI_Comm_split");
  return Communicator(std::move(handle));
}

void Communicator::barrier() const {
  MPI_Request request;
  check(MPI_Ibarrier(handle_->comm, &request), "MPI_Ibarrier");
  wait_asleep(&request, "barrier");
}

namespace {

template <class T>
void all_reduce(MPI_Comm comm, std::span<T> values, MPI_Datatype type, MPI_Op op, const char* name) {
  MPI_Request request;
  check(MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), type, op, comm, &request), name);
  wait_asleep(&request, name);
}

}  // namespace

void Communicator::all_reduce_sum(std::span<float> values) const {
  if (size_ > 1) all_reduce(handle_->comm, values, MPI_FLOAT, MPI_SUM, "all_reduce of float32");
}
void Communicator::all_reduce_sum(std::span<double> values) const {
  if (size_ > 1) all_reduce(handle_->comm, values, MPI_DOUBLE, MPI_SUM, "all_reduce of float64");
}
void Communicator::all_reduce_max(std::span<std::int64_t> values) const {
  if (size_ > 1) all_reduce(handle_->comm, values, MPI_INT64_T, MPI_MAX, "all_reduce of int64");
}

std::string Communicator::broadcast(std::string text, int root) const {
  if (size_ == 1) return text;
  MPI_Request request;
  std::int64_t length = static_cast<std::int64_t>(text.size());
  check(MPI_Ibcast(&length, 1, MPI_INT64_T, root, handle_->comm, &request), "broadcast");
  wait_asleep(&request, "broadcast");
  text.resize(static_cast<std::size_t>(length));
  check(MPI_Ibcast(text.data(), static_cast<int>(length), MPI_CHAR, root, handle_->comm, &request), "broadcast");
  wait_asleep(&request, "broadcast");
  return text;
}

std::vector<std::string> Communicator::all_gather(const std::string& text) const {
  std::vector<std::string> all(static_cast<std::size_t>(size_));
  for (int r = 0; r < size_; ++r) all[static_cast<std::size_t>(r)] = broadcast(r == rank_ ? text : "", r);
  return all;
}

void Communicator::send(int to, int tag, const std::string& text) const {
  check(MPI_Send(text.data(), static_cast<int>(text.size()), MPI_CHAR, to, tag, handle_->comm), "send");
}

bool Communicator::receive(int tag, int* from, std::string* text, const std::function<bool()>& stop) const {
  for (;;) {
    int found = 0;
    MPI_Message message;
    MPI_Status status;
    check(MPI_Improbe(*from < 0 ? MPI_ANY_SOURCE : *from, tag, handle_->comm, &found, &message, &status), "receive");
    if (found) {
      int length = 0;
      check(MPI_Get_count(&status, MPI_CHAR, &length), "receive");
      text->resize(static_cast<std::size_t>(length));
      check(MPI_Mrecv(text->data(), length, MPI_CHAR, &message, MPI_STATUS_IGNORE), "receive");
      *from = status.MPI_SOURCE;
      return true;
    }
    if (stop()) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
}

void together(const Communicator& ranks, const std::function<void()>& phase) {
  std::string failure;  // "<exit code> <message>", empty if all went well
  try {
    phase();
  } catch (const Error& e) {
    failure = fmt::format("{} {}", e.exit_code(), e.what());
  }
  for (const std::string& other : ranks.all_gather(failure)) {
    if (other.empty()) continue;
    const std::size_t space = other.find(' ');
    throw SharedError(other.substr(space + 1), std::stoi(other.substr(0, space)));
  }
}

}  // namespace strata

#include "distributed/nccl.h"

#include <fmt/format.h>

#include "core/base/error.h"

#ifdef STRATA_NCCL
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <nccl.h>

#include <chrono>
#include <exception>
#include <string>
#include <thread>
#endif

namespace strata {

#ifdef STRATA_NCCL
namespace {

/// Owns a communicator: destroyed when all went well, aborted after a failure (an exception of anything else that passes
/// included), since destroying it would wait for ranks that are gone.
class NcclHandle {
 public:
  NcclHandle() = default;
  ~NcclHandle() {
    if (std::uncaught_exceptions() > exceptions_) {
      abort();
    } else if (comm_ != nullptr) {
      ncclCommDestroy(comm_);
    }
  }
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  ncclComm_t* out() { return &comm_; }
  ncclComm_t get() const { return comm_; }
  void abort() {
    if (comm_ != nullptr) ncclCommAbort(comm_);
    comm_ = nullptr;
  }

 private:
  const int exceptions_ = std::uncaught_exceptions();
  ncclComm_t comm_ = nullptr;
};

class NcclCollectives : public Collectives {
 public:
  NcclCollectives(const at::Device& device, const Communicator& group) : Collectives(device), rank_(group.rank()), size_(group.size()) {
    if (size_ == 1) return;
    const c10::cuda::CUDAGuard guard(device);
    ncclUniqueId id{};
    if (rank_ == 0) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    const std::string text = group.broadcast(std::string(id.internal, sizeof id.internal), 0);
    text.copy(id.internal, sizeof id.internal);
    check(ncclCommInitRank(handle_.out(), size_, id, rank_), "ncclCommInitRank");
  }

 private:
  void sum(const at::Tensor& tensor) override {
    if (size_ == 1) return;
    const c10::cuda::CUDAGuard guard(device());
    const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream(device().index());
    const std::string operation = fmt::format("all_reduce of {} {}", tensor.numel(), toString(tensor.scalar_type()));
    void* values = tensor.mutable_data_ptr();
    const ncclDataType_t type = tensor.scalar_type() == at::kFloat ? ncclFloat32 : ncclFloat64;
    check(ncclAllReduce(values, values, static_cast<std::size_t>(tensor.numel()), type, ncclSum, handle_.get(), stream.stream()), operation);
    wait(stream, operation);
  }

  /// Waits for the stream, but not for ever: a peer that went away shows as an asynchronous error of the communicator.
  void wait(const c10::cuda::CUDAStream& stream, const std::string& operation) {
    while (!stream.query()) {
      ncclResult_t state = ncclSuccess;
      check(ncclCommGetAsyncError(handle_.get(), &state), "ncclCommGetAsyncError");
      check(state, operation);
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  void check(ncclResult_t result, const std::string& operation) {
    if (result == ncclSuccess || result == ncclInProgress) return;
    const std::string detail = handle_.get() == nullptr ? "" : ncclGetLastError(handle_.get());
    handle_.abort();
    throw CommError(fmt::format("rank {} of {}: {} failed: {}{}{}", rank_, size_, operation, ncclGetErrorString(result), detail.empty() ? "" : ": ", detail));
  }

  const int rank_, size_;
  NcclHandle handle_;
};

}  // namespace

std::unique_ptr<Collectives> make_nccl_collectives(const at::Device& device, const Communicator& group) {
  return std::make_unique<NcclCollectives>(device, group);
}

#else

std::unique_ptr<Collectives> make_nccl_collectives(const at::Device& device, const Communicator&) {
  throw ConfigError(fmt::format("{} was asked for, but this build's LibTorch came without NCCL; take \"device\": \"cpu\"", device.str()));
}

#endif

}  // namespace strata

#include <gmock/gmock.h>

#include <cstdlib>

#include "distributed/mpi.h"

/// Runs the tests on every rank; rank 0 reports. A rank that fails makes mpirun fail.
int main(int argc, char** argv) {
  const strata::MpiEnvironment mpi;
  const strata::Communicator world = strata::Communicator::world();
  const char* asked = std::getenv("STRATA_TEST_RANKS");
  if (asked == nullptr || std::atoi(asked) != world.size()) {
    std::fprintf(stderr, "asked for %s ranks, started on %d\n", asked == nullptr ? "no number of" : asked, world.size());
    return 1;
  }
  if (world.rank() != 0) unsetenv("XML_OUTPUT_FILE");
  testing::InitGoogleMock(&argc, argv);
  if (world.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_xml_generator());
  }
  return RUN_ALL_TESTS();
}

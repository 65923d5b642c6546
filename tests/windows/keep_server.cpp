// SPDX-License-Identifier: MIT
// Does nothing until it is ended: as long as it runs, so does Wine's server, which takes a second
// to start and three to end, with the output of whoever started it open all the while.
#include <future>

int main() {
  std::promise<void>{}.get_future().wait();
}

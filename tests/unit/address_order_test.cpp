// SPDX-License-Identifier: MIT
// In which order a connector tries addresses. Goal: families take turns, and within each the
// order stays.
#include "streams/address_order.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace pollux::detail {
namespace {

/// 4 and 6 are those of IPv4 and IPv6, u one of AF_UNIX; numbered as they come by their ports.
std::string order_of(std::string_view families) {
  std::vector<Address> addresses;
  for (const char family : families) {
    const std::string port = std::to_string(addresses.size() + 1);
    if (family == '4') addresses.emplace_back("127.0.0.1:" + port);
    if (family == '6') addresses.emplace_back("[::1]:" + port);
    if (family == 'u') addresses.emplace_back("unix:/" + port);
  }
  std::string order;
  for (const Address& address : interleaved(addresses)) {
    const std::string text = address.to_string();
    order += text[text.find_last_of(":/") + 1];
  }
  return order;
}

TEST(AddressOrder, IsThatOfOneFamily) {
  EXPECT_EQ(order_of(""), "");
  EXPECT_EQ(order_of("4"), "1");
  EXPECT_EQ(order_of("666"), "123");
}

TEST(AddressOrder, BeginsWithTheFirstAndTakesTurns) {
  EXPECT_EQ(order_of("6644"), "1324");
  EXPECT_EQ(order_of("4466"), "1324");
  EXPECT_EQ(order_of("6464"), "1234");
  EXPECT_EQ(order_of("466"), "123");
}

TEST(AddressOrder, EndsWithWhatIsLeftOfOneFamily) {
  EXPECT_EQ(order_of("66664"), "15234");
  EXPECT_EQ(order_of("64444"), "12345");
  EXPECT_EQ(order_of("46666"), "12345");
}

TEST(AddressOrder, TakesAllOthersForOneFamily) {
  EXPECT_EQ(order_of("66u4"), "1324");
}

}  // namespace
}  // namespace pollux::detail

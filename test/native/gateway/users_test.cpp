// Who may log in: names and passwords as the protocol compares them, and what is no user.
#include "gateway/users.h"

#include <gtest/gtest.h>

namespace verbex::gateway {
namespace {

User user(const char* name, const char* password, uint16_t session) {
    User made;
    made.name = name;
    made.password = password;
    made.session = session;
    made.account = "DESK";
    return made;
}

TEST(Users, AreFoundByNameAndPasswordWithoutRegardToCase) {
    Result<Users> made = Users::from({user("ALPHA", "Secret", 1), user("beta", "other", 700)});
    ASSERT_TRUE(made.isOk()) << made.status().toString();
    const Users users = made.take();
    ASSERT_NE(users.authenticate("alpha", "SECRET"), nullptr);
    EXPECT_EQ(users.authenticate("alpha", "SECRET")->session, 1);
    EXPECT_EQ(users.authenticate("BETA", "other")->session, 700);
    EXPECT_EQ(users.bySession(700)->name, "beta");
    for (const uint16_t session : {0, 2, 699, 701, 65535}) {
        EXPECT_EQ(users.bySession(session), nullptr) << session;
    }
}

TEST(Users, ARightNameWithAnyOtherPasswordIsNobody) {
    const Users users = Users::from({user("ALPHA", "secret", 1)}).take();
    for (const std::string_view wrong :
         {"", "s", "secre", "secrets", "secretsecret", "sicret", "tecret", "secreu", "other"}) {
        EXPECT_EQ(users.authenticate("ALPHA", wrong), nullptr) << wrong;
    }
    for (const std::string_view name : {"", "ALPH", "ALPHAA", "BLPHA"}) {
        EXPECT_EQ(users.authenticate(name, "secret"), nullptr) << name;
    }
    EXPECT_EQ(users.authenticate("", ""), nullptr);
}

TEST(Users, WhatIsNoUserIsNamedWithItsReason) {
    const auto failure = [](std::vector<User> users) {
        const Status status = Users::from(std::move(users)).status();
        EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
        return status.message();
    };
    EXPECT_NE(failure({user("", "x", 1)}).find("name"), std::string::npos);
    EXPECT_NE(failure({user("SEVENCH", "x", 1)}).find("\"SEVENCH\""), std::string::npos);
    EXPECT_NE(failure({user("A B", "x", 1)}).find("blanks"), std::string::npos);
    EXPECT_NE(failure({user("A", "", 1)}).find("password"), std::string::npos);
    EXPECT_NE(failure({user("A", "elevenchars", 1)}).find("password"), std::string::npos);
    EXPECT_NE(failure({user("A", "x", 0)}).find("session"), std::string::npos);
    EXPECT_NE(failure({user("A", "x", kSessionMax + 1)}).find("session"), std::string::npos);
    EXPECT_NE(failure({user("A", "x", 1), user("a", "y", 2)}).find("\"a\""), std::string::npos);
    EXPECT_NE(failure({user("A", "x", 9), user("B", "y", 9)}).find("session 9"), std::string::npos);
    User none = user("A", "x", 1);
    none.account = "";
    EXPECT_NE(failure({none}).find("account"), std::string::npos);
    User throttled = user("A", "x", 1);
    throttled.ordersPerSecond = 10;
    throttled.ordersBurst = 0;
    EXPECT_NE(failure({throttled}).find("burst"), std::string::npos);
}

}  // namespace
}  // namespace verbex::gateway

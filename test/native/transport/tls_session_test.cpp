#include "transport/security/tls_session.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "certificates.h"
#include "transport/security/crypto_library.h"

namespace verbex::transport {
namespace {

using Bytes = std::vector<std::byte>;

class Tls : public testing::Test {
protected:
    static void SetUpTestSuite() { certificates_ = new Certificates(); }
    static void TearDownTestSuite() { delete certificates_; }

    void SetUp() override {
        if (!certificates_->complete()) {
            GTEST_SKIP() << "no openssl program (3.0 or later) that makes certificates";
        }
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_), 0);
    }
    void TearDown() override {
        connector_.reset();
        listener_.reset();
        for (const int socket : sockets_) {
            if (socket >= 0) ::close(socket);
        }
    }

    void start(const TlsOptions& connector, const TlsOptions& listener) {
        connectorContext_ = load(connector);
        listenerContext_ = load(listener);
        connector_ = connectorContext_->connect(sockets_[0]).take();
        listener_ = listenerContext_->accept(sockets_[1]).take();
    }

    static std::unique_ptr<TlsContext> load(const TlsOptions& options) {
        auto context = TlsContext::load(options);
        EXPECT_TRUE(context.isOk()) << context.status().toString();
        return context.take();
    }

    // Turn by turn, until neither side gets further.
    void shake() {
        for (int i = 0; i < 20; ++i) {
            connectorSaid_ = connector_->handshake();
            listenerSaid_ = listener_->handshake();
        }
    }

    void startAndShake() {
        start(certificates_->options("node"), certificates_->options("other"));
        shake();
        ASSERT_EQ(connectorSaid_, TlsResult::Done) << connector_->failure().toString();
        ASSERT_EQ(listenerSaid_, TlsResult::Done) << listener_->failure().toString();
    }

    static std::string textOf(const Status& status) { return status.message(); }
    static bool has(const Status& status, const char* text) {
        return status.message().find(text) != std::string::npos;
    }

    static Certificates* certificates_;
    int sockets_[2] = {-1, -1};
    std::unique_ptr<TlsContext> connectorContext_;
    std::unique_ptr<TlsContext> listenerContext_;
    std::unique_ptr<TlsSession> connector_;
    std::unique_ptr<TlsSession> listener_;
    TlsResult connectorSaid_ = TlsResult::Failed;
    TlsResult listenerSaid_ = TlsResult::Failed;
    std::byte room_[4096];
};

Certificates* Tls::certificates_ = nullptr;

// One side sends, the other echoes, both with a mind of their own how much at a time.
TEST_F(Tls, EchoesRandomBytesInRandomSizes) {
    startAndShake();
    std::mt19937_64 random(1);
    Bytes sent(3'000'000);
    for (std::byte& byte : sent) byte = static_cast<std::byte>(random());
    Bytes echoed;
    Bytes waiting;  // at the listener
    size_t written = 0;
    size_t again = 0;  // what a write that could not go on must begin with
    std::vector<std::byte> buffer(70'000);
    while (echoed.size() < sent.size()) {
        if (written < sent.size()) {
            const size_t size =
                std::min<size_t>(std::max(again, 1 + random() % 60'000), sent.size() - written);
            const auto wrote = connector_->write(std::span(sent).subspan(written, size));
            again = wrote.result == TlsResult::Done ? 0 : size;
            ASSERT_TRUE(wrote.result == TlsResult::Done || wrote.result == TlsResult::WantWrite);
            written += wrote.bytes;
        }
        const auto read = listener_->read(std::span(buffer).first(1 + random() % 70'000));
        ASSERT_NE(read.result, TlsResult::Failed) << textOf(listener_->failure());
        waiting.insert(waiting.end(), buffer.begin(),
                       buffer.begin() + static_cast<ptrdiff_t>(read.bytes));
        if (!waiting.empty()) {
            const auto wrote = listener_->write(waiting);
            ASSERT_NE(wrote.result, TlsResult::Failed) << textOf(listener_->failure());
            waiting.erase(waiting.begin(), waiting.begin() + static_cast<ptrdiff_t>(wrote.bytes));
        }
        const auto back = connector_->read(std::span(buffer).first(1 + random() % 70'000));
        ASSERT_NE(back.result, TlsResult::Failed) << textOf(connector_->failure());
        echoed.insert(echoed.end(), buffer.begin(),
                      buffer.begin() + static_cast<ptrdiff_t>(back.bytes));
    }
    EXPECT_TRUE(echoed == sent);
    EXPECT_FALSE(connector_->hasPending());
}

TEST_F(Tls, SaysWhenDecryptedBytesWait) {
    startAndShake();
    ASSERT_EQ(connector_->write(std::span<const std::byte>(room_).first(100)).bytes, 100u);
    ASSERT_EQ(listener_->read(std::span(room_).first(1)).bytes, 1u);
    EXPECT_TRUE(listener_->hasPending());
    ASSERT_EQ(listener_->read(room_).bytes, 99u);
    EXPECT_FALSE(listener_->hasPending());
    EXPECT_EQ(listener_->read(room_).result, TlsResult::WantRead);
}

TEST_F(Tls, NothingOfTheBytesIsSeenOnTheWire) {
    startAndShake();
    const std::string secret = "buy ten thousand and tell nobody";
    ASSERT_EQ(connector_->write(std::as_bytes(std::span(secret))).result, TlsResult::Done);
    const ssize_t got = ::recv(sockets_[1], room_, sizeof(room_), 0);
    ASSERT_GT(got, static_cast<ssize_t>(secret.size()));
    const std::string wire(reinterpret_cast<const char*>(room_), static_cast<size_t>(got));
    EXPECT_EQ(wire.find(secret.substr(0, 8)), std::string::npos);
}

TEST_F(Tls, AStrangerToTheConnectorIsRefused) {
    start(certificates_->options("node"), certificates_->options("stranger"));
    shake();
    EXPECT_EQ(connectorSaid_, TlsResult::Failed);
    EXPECT_TRUE(has(connector_->failure(), "the peer's certificate is refused"))
        << textOf(connector_->failure());
    EXPECT_EQ(listenerSaid_, TlsResult::Failed);
    EXPECT_EQ(listener_->read(room_).result, TlsResult::Failed);
}

TEST_F(Tls, AStrangerToTheListenerIsRefused) {
    start(certificates_->options("stranger"), certificates_->options("node"));
    shake();
    EXPECT_EQ(listenerSaid_, TlsResult::Failed);
    EXPECT_TRUE(has(listener_->failure(), "the peer's certificate is refused"))
        << textOf(listener_->failure());
    // It was done before the listener had looked, and learns it here.
    EXPECT_EQ(connector_->read(room_).result, TlsResult::Failed);
    EXPECT_TRUE(has(connector_->failure(), "alert")) << textOf(connector_->failure());
}

TEST_F(Tls, AnotherNameIsRefused) {
    for (const char* name : {"127.0.0.1", "", "node.test"}) {
        TlsOptions options = certificates_->options("node");
        options.serverName = name;
        start(options, certificates_->options("other"));
        shake();
        EXPECT_EQ(connectorSaid_, TlsResult::Done) << name << textOf(connector_->failure());
        TearDown();
        SetUp();
    }
    for (const char* name : {"127.0.0.2", "node.test.example", "test"}) {
        TlsOptions options = certificates_->options("node");
        options.serverName = name;
        start(options, certificates_->options("other"));
        shake();
        EXPECT_EQ(connectorSaid_, TlsResult::Failed) << name;
        EXPECT_TRUE(has(connector_->failure(), "mismatch")) << textOf(connector_->failure());
        TearDown();
        SetUp();
    }
}

// The openssl program as a client that has the authority but no certificate, or an old protocol.
TEST_F(Tls, AClientWithoutACertificateOrWithAnOldProtocolIsRefused) {
    for (const std::string& more :
         {std::string("-tls1_2 -cert ") + certificates_->file("node.pem") + " -key " +
              certificates_->file("node.key"),
          std::string("-tls1_3"), std::string()}) {
        SCOPED_TRACE(more);
        listenerContext_ = load(certificates_->options("node"));
        // s_client wants an address: a listening socket of the kernel's choice.
        const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
        const std::string path = certificates_->file("socket");
        ::unlink(path.c_str());
        sockaddr address{};
        address.sa_family = AF_UNIX;
        std::vector<char> raw(sizeof(sa_family_t) + path.size() + 1);
        std::memcpy(raw.data(), &address.sa_family, sizeof(sa_family_t));
        std::memcpy(raw.data() + sizeof(sa_family_t), path.c_str(), path.size() + 1);
        ASSERT_EQ(::bind(server, reinterpret_cast<const sockaddr*>(raw.data()),
                         static_cast<socklen_t>(raw.size())),
                  0);
        ASSERT_EQ(::listen(server, 1), 0);
        const std::string command = "openssl s_client " + more + " -unix '" + path + "' -CAfile '" +
                                    certificates_->file("ours.pem") +
                                    "' </dev/null >/dev/null 2>&1 &";
        ASSERT_EQ(std::system(command.c_str()), 0);
        const int client = ::accept4(server, nullptr, nullptr, 0);
        ASSERT_GE(client, 0);
        // Blocking is as good here: the library asks again or fails.
        auto session = listenerContext_->accept(client).take();
        TlsResult said = TlsResult::WantRead;
        while (said == TlsResult::WantRead) said = session->handshake();
        EXPECT_EQ(said, TlsResult::Failed);
        EXPECT_TRUE(has(session->failure(), more.starts_with("-tls1_2")
                                                ? "unsupported protocol"
                                                : "peer did not return a certificate"))
            << textOf(session->failure());
        session.reset();
        ::close(client);
        ::close(server);
    }
}

TEST_F(Tls, GarbageIsRefused) {
    for (const std::string garbage : {"GET / HTTP/1.1\r\n\r\n", "VXBS\1\1\0\0 no TLS at all",
                                      "\x16\x03\x01\xff\xff garbage in a record"}) {
        listenerContext_ = load(certificates_->options("node"));
        listener_ = listenerContext_->accept(sockets_[1]).take();
        EXPECT_EQ(listener_->handshake(), TlsResult::WantRead);
        ASSERT_GT(::send(sockets_[0], garbage.data(), garbage.size(), 0), 0);
        EXPECT_EQ(listener_->handshake(), TlsResult::Failed);
        EXPECT_FALSE(listener_->failure().message().empty());
        EXPECT_EQ(listener_->handshake(), TlsResult::Failed);
        EXPECT_EQ(listener_->write(std::span<const std::byte>(room_)).result, TlsResult::Failed);
        TearDown();
        SetUp();
    }
}

TEST_F(Tls, AChangedByteEndsTheSession) {
    startAndShake();
    ASSERT_EQ(connector_->write(std::span<const std::byte>(room_).first(64)).result,
              TlsResult::Done);
    const ssize_t got = ::recv(sockets_[1], room_, sizeof(room_), 0);
    ASSERT_GT(got, 64);
    room_[got / 2] ^= std::byte{1};
    ASSERT_EQ(::send(sockets_[0], room_, static_cast<size_t>(got), 0), got);
    EXPECT_EQ(listener_->read(room_).result, TlsResult::Failed);
    EXPECT_TRUE(has(listener_->failure(), "bad record mac")) << textOf(listener_->failure());
}

TEST_F(Tls, OneSideMayCloseAndStillRead) {
    startAndShake();
    ASSERT_EQ(connector_->write(std::span<const std::byte>(room_).first(10)).bytes, 10u);
    ASSERT_EQ(connector_->close(), TlsResult::Done);
    ASSERT_EQ(connector_->close(), TlsResult::Done);
    EXPECT_EQ(listener_->read(room_).bytes, 10u);
    EXPECT_EQ(listener_->read(room_).result, TlsResult::Closed);
    EXPECT_EQ(listener_->write(std::span<const std::byte>(room_).first(20)).bytes, 20u);
    EXPECT_EQ(connector_->read(room_).bytes, 20u);
    EXPECT_EQ(connector_->read(room_).result, TlsResult::WantRead);
    EXPECT_EQ(listener_->close(), TlsResult::Done);
    EXPECT_EQ(connector_->read(room_).result, TlsResult::Closed);
    EXPECT_TRUE(connector_->failure().isOk() && listener_->failure().isOk());
}

TEST_F(Tls, AStreamThatJustStopsHasFailed) {
    startAndShake();
    ::close(sockets_[0]);
    sockets_[0] = -1;
    EXPECT_EQ(listener_->read(room_).result, TlsResult::Failed);
    EXPECT_TRUE(has(listener_->failure(), "without the peer's word"))
        << textOf(listener_->failure());
}

// SIGPIPE would end this program.
TEST_F(Tls, WritingToNobodyFailsAndRaisesNothing) {
    startAndShake();
    ::close(sockets_[0]);
    sockets_[0] = -1;
    EXPECT_EQ(listener_->write(std::span<const std::byte>(room_)).result, TlsResult::Failed);
    EXPECT_TRUE(has(listener_->failure(), "Broken pipe")) << textOf(listener_->failure());
}

TEST_F(Tls, FilesThatCannotWorkAreNamed) {
    const auto says = [&](const std::function<void(TlsOptions&)>& change) {
        TlsOptions options = certificates_->options("node");
        change(options);
        const auto context = TlsContext::load(options);
        return context.isOk() ? "ok" : context.status().message();
    };
    EXPECT_EQ(says([](TlsOptions&) {}), "ok");
    const std::string missing = says([](TlsOptions& o) { o.certificateFile += ".gone"; });
    EXPECT_NE(missing.find("node.pem.gone"), std::string::npos) << missing;
    EXPECT_NE(missing.find("No such file"), std::string::npos) << missing;
    const std::string wrong =
        says([&](TlsOptions& o) { o.keyFile = certificates_->file("other.key"); });
    EXPECT_NE(wrong.find("other.key"), std::string::npos) << wrong;
    EXPECT_NE(wrong.find("mismatch"), std::string::npos) << wrong;
    EXPECT_NE(says([](TlsOptions& o) { o.authorityFile = ""; }), "ok");
    const std::string locked = "cd '" + certificates_->file("") +
                               "' && openssl ec -aes128 -passout pass:x -in node.key -out "
                               "locked.key >log 2>&1";
    ASSERT_EQ(std::system(locked.c_str()), 0);
    const std::string asked =
        says([&](TlsOptions& o) { o.keyFile = certificates_->file("locked.key"); });
    EXPECT_NE(asked.find("without a passphrase"), std::string::npos) << asked;
}

}  // namespace
}  // namespace verbex::transport

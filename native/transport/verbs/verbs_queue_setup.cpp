// The device's objects behind a queue: made, connected, and given back.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/random.h>
#include <sys/resource.h>

#include "transport/verbs/verbs_queue_pair.h"

#if defined(VERBEX_HAVE_VERBS)

namespace verbex::transport {

namespace {

constexpr uint32_t kSignalEvery = 64;
// 0.64 ms: how long a peer is asked to wait where more wakes came than it has room for.
constexpr uint8_t kWakeRoomTimer = 12;
// For ever: a peer that is slow to take its wakes is slow, not dead. Heartbeats tell which.
constexpr uint8_t kWakeRoomRetries = 7;
constexpr uint8_t kHopLimit = 64;

ibv_mtu mtuCode(uint32_t bytes) {
    int code = IBV_MTU_256;
    for (uint32_t size = 256; size < bytes; size *= 2) ++code;
    return static_cast<ibv_mtu>(code);
}

std::string memlockText() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return "unknown";
    if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
    return std::to_string(limit.rlim_cur) + " bytes";
}

Status registrationFailed(const char* name, const VerbsRegion& region, int error) {
    const std::string text = std::string("registering the ") + name + " region of " +
                             std::to_string(region.size) + " bytes: " + std::strerror(error);
    if (error != ENOMEM && error != EAGAIN && error != EPERM)
        return Status(StatusCode::IoError, text);
    return Status(StatusCode::NoSpace,
                  text + ". Memory that a device reaches counts against RLIMIT_MEMLOCK, which is " +
                      memlockText() +
                      " here: raise it (ulimit -l unlimited, memlock in "
                      "/etc/security/limits.conf, LimitMEMLOCK=infinity in a systemd unit, "
                      "--ulimit memlock=-1 for a container) or grant CAP_IPC_LOCK");
}

Status makeNonBlocking(int descriptor) {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0)
        return Status(StatusCode::IoError, std::string("fcntl: ") + std::strerror(errno));
    return {};
}

}  // namespace

VerbsQueuePair::VerbsQueuePair(const VerbsLibrary& library, VerbsOptions options,
                               VerbsChoice choice)
    : library_(library), options_(std::move(options)), choice_(std::move(choice)) {}

// Nothing can be given back while something made from it is still there.
VerbsQueuePair::~VerbsQueuePair() {
    if (queuePair_ != nullptr) library_.destroyQueuePair(queuePair_);
    if (sendCompletions_ != nullptr) library_.destroyCompletions(sendCompletions_);
    if (receiveCompletions_ != nullptr) library_.destroyCompletions(receiveCompletions_);
    if (channel_ != nullptr) library_.destroyChannel(channel_);
    if (receiveMemory_ != nullptr) library_.deregisterMemory(receiveMemory_);
    if (sendMemory_ != nullptr) library_.deregisterMemory(sendMemory_);
    if (domain_ != nullptr) library_.freeDomain(domain_);
    if (context_ != nullptr) library_.closeDevice(context_);
}

Status VerbsQueuePair::refused(const char* call, int error) const {
    return Status(StatusCode::IoError, std::string(call) + " on " + choice_.device + " port " +
                                           std::to_string(choice_.port) + ": " +
                                           std::strerror(error));
}

Status VerbsQueuePair::open(VerbsRegion receive, VerbsRegion send) {
    if (library_.forkError != 0)
        return refused("ibv_fork_init: open the bus before anything else registers memory",
                       library_.forkError);
    VERBEX_RETURN_IF_FAILED(openDevice());
    VERBEX_RETURN_IF_FAILED(registerRegions(receive, send));
    VERBEX_RETURN_IF_FAILED(makeQueuePair());

    uint32_t firstPacket = 0;
    if (::getrandom(&firstPacket, sizeof(firstPacket), 0) != sizeof(firstPacket))
        return refused("getrandom", errno);
    local_.address = reinterpret_cast<uintptr_t>(receive.data);
    local_.size = receive.size;
    local_.rkey = receiveMemory_->rkey;
    local_.queuePair = queuePair_->qp_num;
    local_.firstPacket = firstPacket & ((1u << 24) - 1);
    local_.mtu = choice_.mtu;
    local_.gid = choice_.gid;
    local_.lid = choice_.lid;
    local_.linkLayer = choice_.linkLayer;
    return checkVerbsEndpoint(local_).within(choice_.device);
}

Status VerbsQueuePair::openDevice() {
    context_ = library_.openDeviceNamed(choice_.device.c_str());
    if (context_ == nullptr) return refused("ibv_open_device", errno);
    VERBEX_RETURN_IF_FAILED(makeNonBlocking(context_->async_fd));
    ibv_device_attr device{};
    if (const int error = library_.queryDevice(context_, &device); error != 0)
        return refused("ibv_query_device", error);
    if (options_.sendEntries > static_cast<uint32_t>(std::max(0, device.max_qp_wr)))
        return Status(StatusCode::InvalidArgument, "verbs sendEntries: " + choice_.device +
                                                       " has at most " +
                                                       std::to_string(device.max_qp_wr));
    ibv_port_attr port{};
    if (const int error = library_.queryPort(context_, choice_.port, &port); error != 0)
        return refused("ibv_query_port", error);
    messageBytesMax_ = port.max_msg_sz;
    ibv_gid gid{};
    if (const int error = library_.queryGid(context_, choice_.port,
                                            static_cast<int>(choice_.gidIndex), &gid);
        error != 0)
        return refused("ibv_query_gid", error);
    if (port.state != IBV_PORT_ACTIVE || port.lid != choice_.lid ||
        choice_.mtu > (128u << port.active_mtu) ||
        !std::equal(choice_.gid.begin(), choice_.gid.end(), std::begin(gid.raw)))
        return Status(StatusCode::NotFound, "port " + std::to_string(choice_.port) + " of " +
                                                choice_.device + " has changed: choose again");
    domain_ = library_.allocateDomain(context_);
    return domain_ == nullptr ? refused("ibv_alloc_pd", errno) : Status();
}

Status VerbsQueuePair::registerRegions(VerbsRegion receive, VerbsRegion send) {
    receiveMemory_ = library_.registerMemory(domain_, receive.data, receive.size,
                                             IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    if (receiveMemory_ == nullptr) return registrationFailed("receive", receive, errno);
    // Reading for sending is always allowed, and nothing else is.
    sendMemory_ = library_.registerMemory(domain_, send.data, send.size, 0);
    if (sendMemory_ == nullptr) return registrationFailed("send", send, errno);
    send_ = send;
    return {};
}

Status VerbsQueuePair::makeQueuePair() {
    entries_ = options_.sendEntries;
    channel_ = library_.createChannel(context_);
    if (channel_ == nullptr) return refused("ibv_create_comp_channel", errno);
    VERBEX_RETURN_IF_FAILED(makeNonBlocking(channel_->fd));
    // Room for a report of every entry: when the queue pair fails, each of them reports.
    sendCompletions_ =
        library_.createCompletions(context_, static_cast<int>(entries_), nullptr, nullptr, 0);
    if (sendCompletions_ == nullptr) return refused("ibv_create_cq", errno);
    receiveCompletions_ = library_.createCompletions(
        context_, static_cast<int>(options_.wakeEntries), nullptr, channel_, 0);
    if (receiveCompletions_ == nullptr) return refused("ibv_create_cq", errno);

    // A device that has less room for inline bytes refuses to make the queue pair at all.
    for (inlineBytes_ = options_.inlineBytes;; inlineBytes_ /= 2) {
        ibv_qp_init_attr wanted{};
        wanted.send_cq = sendCompletions_;
        wanted.recv_cq = receiveCompletions_;
        wanted.qp_type = IBV_QPT_RC;
        wanted.cap.max_send_wr = entries_;
        wanted.cap.max_recv_wr = options_.wakeEntries;
        wanted.cap.max_send_sge = 1;
        wanted.cap.max_recv_sge = 1;
        wanted.cap.max_inline_data = inlineBytes_;
        queuePair_ = library_.createQueuePair(domain_, &wanted);
        if (queuePair_ != nullptr) break;
        if (inlineBytes_ == 0 || (errno != EINVAL && errno != ENOMEM))
            return refused("ibv_create_qp", errno);
    }
    batch_.resize(entries_);
    pieces_.resize(entries_);
    history_.resize(entries_);
    for (uint32_t i = 0; i < entries_; ++i) batch_[i].sg_list = &pieces_[i];
    signalEvery_ = std::min(kSignalEvery, entries_ / 2);
    signalBytes_ = std::max<size_t>(1, send_.size / 4);

    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.pkey_index = 0;
    attributes.port_num = choice_.port;
    attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    const int error = library_.modifyQueuePair(
        queuePair_, &attributes,
        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
    if (error != 0) return refused("ibv_modify_qp to INIT", error);
    postReceives(options_.wakeEntries);
    return status();
}

Status VerbsQueuePair::connect(const VerbsEndpoint& remote) {
    if (state_ == State::Destroyed || failure_ != VerbsFailure::None) return status();
    if (state_ == State::Connected)
        return Status(StatusCode::InvalidArgument,
                      "a queue pair is connected once: open another one for another peer or epoch");
    VERBEX_RETURN_IF_FAILED(checkVerbsEndpoint(remote).within("peer"));
    if (remote.linkLayer != choice_.linkLayer)
        return Status(
            StatusCode::InvalidArgument,
            "one end is on InfiniBand, the other on Ethernet: name the device on both ends");
    const uint32_t mtu = std::min(remote.mtu, choice_.mtu);

    ibv_qp_attr ready{};
    ready.qp_state = IBV_QPS_RTR;
    ready.path_mtu = mtuCode(mtu);
    ready.dest_qp_num = remote.queuePair;
    ready.rq_psn = remote.firstPacket;
    ready.max_dest_rd_atomic = 0;
    ready.min_rnr_timer = kWakeRoomTimer;
    ready.ah_attr.port_num = choice_.port;
    ready.ah_attr.dlid = remote.lid;
    ready.ah_attr.sl = options_.serviceLevel;
    // Ethernet always routes by GID; InfiniBand only out of its subnet, which the first half names.
    const bool routed =
        choice_.linkLayer == VerbsLinkLayer::Ethernet ||
        !std::equal(remote.gid.begin(), remote.gid.begin() + 8, choice_.gid.begin());
    if (routed) {
        ready.ah_attr.is_global = 1;
        std::copy(remote.gid.begin(), remote.gid.end(), ready.ah_attr.grh.dgid.raw);
        ready.ah_attr.grh.sgid_index = static_cast<uint8_t>(choice_.gidIndex);
        ready.ah_attr.grh.hop_limit = kHopLimit;
        ready.ah_attr.grh.traffic_class = options_.trafficClass;
    }
    int error = library_.modifyQueuePair(queuePair_, &ready,
                                         IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
                                             IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                             IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
    if (error != 0)
        return refused(("ibv_modify_qp to RTR, GID " + verbsGidText(choice_.gid) + " to " +
                        verbsGidText(remote.gid) + " (both ends need addresses of one network)")
                           .c_str(),
                       error);

    ibv_qp_attr sending{};
    sending.qp_state = IBV_QPS_RTS;
    sending.timeout = options_.ackTimeout;
    sending.retry_cnt = options_.retries;
    sending.rnr_retry = kWakeRoomRetries;
    sending.sq_psn = local_.firstPacket;
    sending.max_rd_atomic = 0;
    error =
        library_.modifyQueuePair(queuePair_, &sending,
                                 IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                                     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
    if (error != 0) return refused("ibv_modify_qp to RTS", error);
    remote_ = remote;
    mtu_ = mtu;
    state_ = State::Connected;
    return {};
}

Status VerbsQueuePair::destroy() {
    if (queuePair_ == nullptr) return {};
    // What has completed so far is still told.
    if (state_ == State::Connected) {
        takeSendCompletions();
        takeWakes();
    }
    if (const int error = library_.destroyQueuePair(queuePair_); error != 0)
        return refused("ibv_destroy_qp: the peer may still write, leave its ring alone", error);
    queuePair_ = nullptr;
    batched_ = 0;
    state_ = State::Destroyed;
    return {};
}

}  // namespace verbex::transport

#endif

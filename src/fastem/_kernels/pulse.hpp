// Long calls that can be left: the work of one call is handed out here, item by item, and while it
// is done the thread that called lets Python handle its signals, so that Ctrl-C is not kept waiting
// for the end of a pass. A call that is left early leaves its outputs half filled, for nobody.
//
// What comes of an item depends neither on who takes it nor on when, so nothing here can change a
// bit.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "simd.hpp"

namespace fastem {

// One a call, shared by its threads. The thread that called is number 0: only it may ask Python.
class Pulse {
  public:
    using Ask = int (*)();

    // ask: lets Python handle its signals, and returns 0 to go on; null where it would be of no
    // use. flag: any thread may make it other than 0 to end the call; null for none.
    void listen(Ask ask, const volatile int* flag) {
        ask_ = ask;
        flag_ = flag;
        if (ask_) due_ = clock::now() + interval;
    }

    // So many items to be handed out, to any number of threads.
    void share(index n_items) {
        n_items_ = n_items;
        taken_.store(0, std::memory_order_relaxed);
        finished_.store(0, std::memory_order_relaxed);
    }

    // The first item of a thread, and the next when it has finished one; -1: there is none left.
    index first(int thread) {
        if (look(thread)) return -1;
        const index item = taken_.fetch_add(1, std::memory_order_relaxed);
        if (item < n_items_) return item;
        if (thread == 0) await_others();
        return -1;
    }
    index next(int thread) {
        finished_.fetch_add(1, std::memory_order_relaxed);
        return first(thread);
    }

    // Whether to leave.
    bool look(int thread) {
        if (over()) return true;
        if (flag_ && *flag_) return end();
        if (thread != 0 || !ask_ || clock::now() < due_) return false;
        if (ask_() != 0) {
            raised_ = true;
            return end();
        }
        due_ = clock::now() + interval;
        return false;
    }

    bool over() const { return over_.load(std::memory_order_relaxed); }
    bool raised() const { return raised_; }  // by the handler of a signal: its exception is set

  private:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds interval{50};
    // The others are often done in less time than it takes to wake up.
    static constexpr std::chrono::microseconds awake{100}, nap{100};

    bool end() {
        over_.store(true, std::memory_order_relaxed);
        return true;
    }

    // Others may be busy with their last item for long, and who waits for them at a barrier hears
    // nothing.
    void await_others() {
        if (!ask_ || finished()) return;
        const clock::time_point nap_from = clock::now() + awake;
        while (!finished() && !look(0)) {
            // to yield would be to wait behind all else on a busy machine
            if (clock::now() >= nap_from) std::this_thread::sleep_for(nap);
        }
    }
    bool finished() const { return finished_.load(std::memory_order_relaxed) >= n_items_; }

    Ask ask_ = nullptr;
    const volatile int* flag_ = nullptr;
    clock::time_point due_{};
    index n_items_ = 0;
    bool raised_ = false;
    // read often and written once, so apart from what is written often
    alignas(64) std::atomic<bool> over_{false};
    alignas(64) std::atomic<index> taken_{0};
    std::atomic<index> finished_{0};
};

// One thread at one item.
class Watch {
  public:
    Watch(Pulse& pulse, int thread) : pulse_(pulse), thread_(thread) {}

    // Counts the work that was done, in multiply-adds or what takes as long, and looks up now and
    // then: whether to leave.
    bool ends(index work) {
        left_ -= work;
        return left_ < 0 && look();
    }
    bool over() const { return over_; }

  private:
    static constexpr index period = 1 << 20;  // a fraction of a millisecond
    bool look() {
        over_ = pulse_.look(thread_);
        left_ = over_ ? -1 : period;
        return over_;
    }

    Pulse& pulse_;
    index left_ = period;
    int thread_;
    bool over_ = false;
};

}  // namespace fastem

//! What groups have still to do: each one thing after the other, all of them beside one another.
//!
//! A group that has something to read is a task until it has read it, so that a listener whose query takes long delays nobody
//! else. What happens meanwhile waits in the group's [`Mailbox`], and is read together then.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::batch::Changes;
use super::facts::Facts;
use super::figures;
use super::group::Whom;
use super::history::Position;
use super::hub::Joined;

/// Groups that are read for at the same time.
const QUICK_AT_ONCE: usize = 8;
/// Of those that took long the last time: one, so that they wait for each other and nobody else for them.
const SLOW_AT_ONCE: usize = 1;
/// Whatever takes longer counts as slow.
const SLOW: Duration = Duration::from_millis(250);
/// Things to tell that may wait for one group.
const MOST_WAITING: usize = 65_536;

/// Events that came together, until everybody was told.
pub(super) struct Batch {
    /// Where the stream stood before and after them.
    pub(super) before: Position,
    pub(super) after: Position,
    events: usize,
    began: Instant,
}

impl Batch {
    pub(super) fn new((before, after): (Position, Position), events: usize, began: Instant) -> Self {
        Batch { before, after, events, began }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        figures::told(self.events, self.began.elapsed());
    }
}

/// What happened to the items of one collection.
#[derive(Clone)]
pub(super) struct News {
    pub(super) changes: Arc<Changes>,
    /// What is known of the rows, where that spares somebody a read.
    pub(super) facts: Option<Arc<Facts>>,
    /// Of which they are part; more than one where they waited.
    pub(super) batches: Vec<Arc<Batch>>,
}

impl News {
    /// Where the stream stood before and after.
    pub(super) fn between(&self) -> Option<(&Position, &Position)> {
        Some((&self.batches.first()?.before, &self.batches.last()?.after))
    }

    /// What came one after the other, as though it had come together.
    fn joined(mut all: Vec<News>) -> Option<News> {
        if all.len() < 2 {
            return all.pop();
        }
        let changes = Changes::joined(all.iter().map(|news| &*news.changes));
        let facts: Option<Vec<Arc<Facts>>> = all.iter().map(|news| news.facts.clone()).collect();
        let batches = all.into_iter().flat_map(|news| news.batches).collect();
        let facts = facts.map(|facts| Arc::new(Facts::joined(&facts)));
        Some(News { changes: Arc::new(changes), facts, batches })
    }
}

/// Something that a group has to do.
pub(super) enum Job {
    /// Tell what happened.
    Tell(News),
    /// Of these, which another group has seen, what may be seen here is seen here, too.
    Inherit(Vec<Arc<str>>),
    /// A member has seen these; of those that are gone by now it is told so.
    Know { subscription: u64, keys: Vec<Arc<str>>, gone: Vec<Arc<str>> },
    /// Somebody comes back to whom this is to be told first.
    CatchUp { changes: Changes, joined: Joined, reply: oneshot::Sender<Joined> },
    /// Something was lost: these begin anew.
    BeginAnew { position: Position, whom: Whom },
    /// A new member: what waits before this is not told together with what comes behind it.
    Welcome,
}

impl Job {
    /// Whether it may take reading.
    pub(super) fn reads(&self) -> bool {
        !matches!(self, Job::Know { .. } | Job::Welcome)
    }
}

/// What waits for one group.
#[derive(Default)]
pub(super) struct Mailbox {
    jobs: VecDeque<Job>,
    /// Somebody is at it.
    is_busy: bool,
    /// Jobs that were done so far.
    pub(super) turns: u64,
    /// Things to tell among what waits.
    waiting: usize,
}

/// What becomes of a job that is handed in.
pub(super) enum Handed {
    /// It is the only one: to be done now.
    Now(Job),
    /// It waits.
    Queued,
    /// It waits, and what was to be told is forgotten, since there was too much of it.
    Overflowed,
}

impl Mailbox {
    /// Whether nothing is being done or waits.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_busy
    }

    pub(super) fn hand_in(&mut self, job: Job) -> Handed {
        if !std::mem::replace(&mut self.is_busy, true) {
            return Handed::Now(job);
        }
        if let Job::Tell(news) = &job {
            self.waiting += news.changes.count();
        }
        let is_too_much = self.waiting > MOST_WAITING;
        if is_too_much {
            self.jobs.retain(|job| !matches!(job, Job::Tell(_)));
            self.waiting = 0;
        }
        match job {
            Job::Tell(_) if is_too_much => return Handed::Overflowed,
            // Where nothing waits there is nothing to be told apart.
            Job::Welcome if self.jobs.is_empty() => {}
            job => self.jobs.push_back(job),
        }
        Handed::Queued
    }

    /// One is done. What is to be done next: news that wait are told together.
    pub(super) fn next(&mut self) -> Option<Job> {
        self.turns += 1;
        let mut news = Vec::new();
        while let Some(Job::Tell(_)) = self.jobs.front()
            && let Some(Job::Tell(next)) = self.jobs.pop_front()
        {
            self.waiting = self.waiting.saturating_sub(next.changes.count());
            news.push(next);
        }
        let next = match News::joined(news) {
            Some(news) => Some(Job::Tell(news)),
            None => self.jobs.pop_front(),
        };
        self.is_busy = next.is_some();
        next
    }
}

/// How many groups may read at the same time.
pub(super) struct Lanes {
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Lanes { quick: Arc::new(Semaphore::new(QUICK_AT_ONCE)), slow: Arc::new(Semaphore::new(SLOW_AT_ONCE)) }
    }

    /// Does this when it is its turn. Says whether it took long: by then its place was given to somebody else.
    pub(super) async fn run(&self, was_slow: bool, work: impl Future<Output = ()>) -> bool {
        let place = |lane: &Arc<Semaphore>| lane.clone().acquire_owned();
        // Neither is ever closed.
        let place: Option<OwnedSemaphorePermit> = match was_slow {
            true => place(&self.slow).await.ok(),
            false => place(&self.quick).await.ok(),
        };
        let mut work = pin!(work);
        if timeout(SLOW, &mut work).await.is_ok() {
            return false;
        }
        let _place = place.filter(|_| was_slow);
        work.await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(number: u64, created: &[&str]) -> Job {
        let at = |number| Position { stream: "s".into(), number };
        let batch = Batch::new((at(number), at(number + 1)), 1, Instant::now());
        let created = created.iter().map(|key| Arc::from(*key)).collect();
        let changes = Arc::new(Changes { created, ..Changes::default() });
        Job::Tell(News { changes, facts: None, batches: vec![Arc::new(batch)] })
    }

    #[track_caller]
    fn check(job: Option<Job>, between: (u64, u64), created: &[&str]) {
        let Some(Job::Tell(news)) = job else { panic!("no news") };
        let (before, after) = news.between().expect("a batch");
        assert_eq!((before.number, after.number), between);
        let keys: Vec<&str> = news.changes.created.iter().map(AsRef::as_ref).collect();
        assert_eq!(keys, created);
    }

    #[test]
    fn news_that_wait_are_told_together_but_not_across_a_new_member() {
        let mut mailbox = Mailbox::default();
        assert!(mailbox.is_idle());
        assert!(matches!(mailbox.hand_in(news(0, &["a"])), Handed::Now(_)));
        // Nothing waits that it would part.
        assert!(matches!(mailbox.hand_in(Job::Welcome), Handed::Queued));
        for number in 1..4 {
            mailbox.hand_in(news(number, &[&number.to_string()]));
        }
        mailbox.hand_in(Job::Welcome);
        mailbox.hand_in(news(4, &["4"]));
        check(mailbox.next(), (1, 4), &["1", "2", "3"]);
        assert!(matches!(mailbox.next(), Some(Job::Welcome)));
        check(mailbox.next(), (4, 5), &["4"]);
        assert!(!mailbox.is_idle(), "that one is being done");
        assert!(mailbox.next().is_none() && mailbox.is_idle());
    }

    #[test]
    fn too_much_news_is_forgotten_and_nothing_else() {
        let mut mailbox = Mailbox::default();
        mailbox.hand_in(Job::Welcome);
        mailbox.hand_in(Job::Inherit(Vec::new()));
        let keys: Vec<String> = (0..MOST_WAITING).map(|key| key.to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        assert!(matches!(mailbox.hand_in(news(0, &keys)), Handed::Queued));
        assert!(matches!(mailbox.hand_in(news(1, &["one more"])), Handed::Overflowed));
        assert!(matches!(mailbox.hand_in(news(2, &["later"])), Handed::Queued));
        assert!(matches!(mailbox.next(), Some(Job::Inherit(_))));
        check(mailbox.next(), (2, 3), &["later"]);
        assert!(mailbox.next().is_none());
    }

    #[tokio::test]
    async fn slow_work_gives_its_place_to_others() {
        let lanes = Arc::new(Lanes::new());
        let begin = |was_slow| {
            let (end, ended) = oneshot::channel::<()>();
            let (begin, begun) = oneshot::channel();
            let lanes = lanes.clone();
            let work = tokio::spawn(async move {
                let work = async {
                    begin.send(()).ok();
                    ended.await.ok();
                };
                lanes.run(was_slow, work).await
            });
            (end, begun, work)
        };
        let newcomers: Vec<_> = (0..QUICK_AT_ONCE).map(|_| begin(false)).collect();
        tokio::task::yield_now().await;
        assert!(!lanes.run(false, async {}).await, "they gave their places away");
        for (end, _, work) in newcomers {
            end.send(()).expect("somebody who waits");
            assert!(work.await.expect("no panic"));
        }
        // Those who were slow before wait for each other, and nobody else for them.
        let (end, begun, first) = begin(true);
        begun.await.expect("begun");
        let (end_second, mut begun, second) = begin(true);
        assert!(!lanes.run(false, tokio::time::sleep(SLOW / 2)).await);
        tokio::time::sleep(SLOW).await;
        assert!(begun.try_recv().is_err());
        end.send(()).expect("somebody who waits");
        assert!(first.await.expect("no panic"));
        begun.await.expect("begun");
        drop(end_second);
        assert!(!second.await.expect("no panic"));
    }
}

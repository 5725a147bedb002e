//! Asks the Kubernetes API who a bearer token is of.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::{Api, ObjectMeta, PostParams};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::admission::Refusal;

/// How long a verdict on a token counts.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Verdicts remembered, of tokens let in and of tokens refused each.
const VERDICTS: usize = 1024;
/// Questions on their way at once: whoever shows made-up tokens does not flood the API.
const QUESTIONS: usize = 8;
/// How long the API may take to answer one, the wait for its turn included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the Kubernetes API who a bearer token is of (`TokenReview`), and lets in the users that are named.
///
/// A verdict is remembered for at most 60 s under the token's SHA-256; tokens themselves are not kept. The client needs the
/// right to create `tokenreviews.authentication.k8s.io`.
pub struct TokenReviews {
    client: kube::Client,
    audience: String,
    allowed: BTreeSet<String>,
    questions: Semaphore,
    verdicts: Mutex<Verdicts>,
}

type Thumbprint = [u8; 32];

#[derive(Default)]
struct Verdicts {
    users: HashMap<Thumbprint, (Instant, String)>,
    // Beside the others, so that made-up tokens drive out no user's.
    unknown: HashMap<Thumbprint, (Instant, String)>,
}

/// What the API says of a token.
enum Verdict {
    /// It is of this user.
    User(String),
    /// It is nobody's, or for another audience.
    Unknown(String),
}

impl std::fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("TokenReviews");
        debug.field("audience", &self.audience).field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl TokenReviews {
    /// Lets in the users `allowed` (`system:serviceaccount:NAMESPACE:NAME`) by their tokens of this `audience`.
    #[must_use]
    pub fn new(client: kube::Client, audience: &str, allowed: BTreeSet<String>) -> Self {
        let (questions, verdicts) = (Semaphore::new(QUESTIONS), Mutex::default());
        Self { client, audience: audience.to_owned(), allowed, questions, verdicts }
    }

    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    pub(crate) async fn admit(&self, token: &str) -> Result<(), Refusal> {
        let thumbprint: Thumbprint = Sha256::digest(token).into();
        let verdict = match self.remembered(&thumbprint, Instant::now()) {
            Some(verdict) => verdict,
            None => self.ask(token, thumbprint).await?,
        };
        match verdict {
            Verdict::User(user) if self.allowed.contains(&user) => Ok(()),
            Verdict::User(user) => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                format!(
                    "{user} is not among the users that are let in here: let it in with --allow, or call as another"
                ),
            )),
            Verdict::Unknown(why) => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                format!(
                    "the API does not accept this token for the audience {:?}: {why}; it may have expired, or be of another \
                     cluster: mount a projected ServiceAccount token of that audience",
                    self.audience
                ),
            )),
        }
    }

    async fn ask(&self, token: &str, thumbprint: Thumbprint) -> Result<Verdict, Refusal> {
        let unasked =
            |why: String| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("nobody can be let in now: {why}"));
        let question = async {
            let _turn = self.questions.acquire().await;
            // While it waited for its turn, another connection may have been told.
            if let Some(verdict) = self.remembered(&thumbprint, Instant::now()) {
                return Ok(verdict);
            }
            let review = TokenReview {
                metadata: ObjectMeta::default(),
                spec: TokenReviewSpec { audiences: Some(vec![self.audience.clone()]), token: token.to_owned() },
                status: None,
            };
            let asked = Instant::now();
            let answer = Api::<TokenReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
            let verdict = self.read(answer);
            self.remember(thumbprint, asked, &verdict);
            Ok(verdict)
        };
        match tokio::time::timeout(PATIENCE, question).await {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => Err(unasked(format!(
                "the API does not let this server create tokenreviews.authentication.k8s.io, a right of system:auth-delegator: {}",
                status.message
            ))),
            Ok(Err(error)) => Err(unasked(format!("the API cannot be asked who the token is of: {error}"))),
            Err(_) => Err(unasked(format!("the API did not say within {} s who the token is of", PATIENCE.as_secs()))),
        }
    }

    fn read(&self, answer: TokenReview) -> Verdict {
        let status = answer.status.unwrap_or_default();
        let user = status.user.and_then(|user| user.username).filter(|user| !user.is_empty());
        // An API that knows no audiences answers without them: then the token is for the API, and not for us.
        let is_for_us = status.audiences.is_some_and(|audiences| audiences.contains(&self.audience));
        match (status.authenticated.unwrap_or(false), user) {
            (true, Some(user)) if is_for_us => Verdict::User(user),
            (true, _) => Verdict::Unknown("it is for another audience".to_owned()),
            (false, _) => Verdict::Unknown(status.error.unwrap_or_else(|| "it is nobody's".to_owned())),
        }
    }

    fn remembered(&self, thumbprint: &Thumbprint, now: Instant) -> Option<Verdict> {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |(asked, what): &(Instant, String)| {
            (now.saturating_duration_since(*asked) < REMEMBERED).then(|| what.clone())
        };
        let user = verdicts.users.get(thumbprint).and_then(fresh).map(Verdict::User);
        user.or_else(|| verdicts.unknown.get(thumbprint).and_then(fresh).map(Verdict::Unknown))
    }

    fn remember(&self, thumbprint: Thumbprint, asked: Instant, verdict: &Verdict) {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, what) = match verdict {
            Verdict::User(user) => (&mut verdicts.users, user),
            Verdict::Unknown(why) => (&mut verdicts.unknown, why),
        };
        kept.retain(|_, (asked, _)| asked.elapsed() < REMEMBERED);
        if kept.len() >= VERDICTS
            && let Some(oldest) = kept.iter().min_by_key(|(_, (asked, _))| *asked).map(|(thumbprint, _)| *thumbprint)
        {
            kept.remove(&oldest);
        }
        kept.insert(thumbprint, (asked, what.clone()));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};

    use super::*;

    fn reviews() -> TokenReviews {
        let nobody = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("nobody is asked here"))
        });
        TokenReviews::new(kube::Client::new(nobody, "default"), "wasmbed", ["user".to_owned()].into())
    }

    fn answer(authenticated: bool, audiences: Option<Vec<String>>) -> TokenReview {
        let user = UserInfo { username: Some("user".to_owned()), ..UserInfo::default() };
        let status = TokenReviewStatus { authenticated: Some(authenticated), audiences, user: Some(user), error: None };
        TokenReview { status: Some(status), ..TokenReview::default() }
    }

    #[tokio::test]
    async fn only_an_answer_for_our_audience_names_a_user() {
        let reviews = reviews();
        let ours = || Some(vec!["another".to_owned(), "wasmbed".to_owned()]);
        assert!(matches!(reviews.read(answer(true, ours())), Verdict::User(user) if user == "user"));
        for other in [
            answer(true, None),
            answer(true, Some(vec![])),
            answer(true, Some(vec!["https://kubernetes.default.svc".to_owned()])),
            answer(false, ours()),
            TokenReview::default(),
        ] {
            assert!(matches!(reviews.read(other), Verdict::Unknown(_)));
        }
    }

    #[tokio::test]
    async fn a_verdict_counts_for_a_minute() {
        let reviews = reviews();
        let asked = Instant::now();
        reviews.remember([1; 32], asked, &Verdict::User("user".to_owned()));
        let at = |seconds| reviews.remembered(&[1; 32], asked + Duration::from_secs(seconds)).is_some();
        assert!(at(0) && at(59));
        assert!(!at(60));
        assert!(reviews.remembered(&[2; 32], asked).is_none());
    }

    #[tokio::test]
    async fn made_up_tokens_take_bounded_memory_and_drive_out_no_user() {
        let reviews = reviews();
        let now = Instant::now();
        reviews.remember([0xff; 32], now, &Verdict::User("user".to_owned()));
        for number in 0..=VERDICTS as u64 {
            let mut thumbprint = [0; 32];
            thumbprint[..8].copy_from_slice(&number.to_be_bytes());
            reviews.remember(thumbprint, now + Duration::from_nanos(number), &Verdict::Unknown(String::new()));
        }
        assert_eq!(reviews.verdicts.lock().expect("no panic").unknown.len(), VERDICTS);
        assert!(reviews.remembered(&[0; 32], now).is_none(), "the oldest went");
        assert!(reviews.remembered(&[0xff; 32], now).is_some());
    }
}

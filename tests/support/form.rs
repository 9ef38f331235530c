//! Forms with files, written by hand so that they can be wrong.

use serde_json::Value;

use super::client::{Answer, Client};

/// Boundary of every form.
const BOUNDARY: &str = "----of-the-black-box-suite";

/// A form in parts.
#[derive(Default)]
pub struct Form {
    body: Vec<u8>,
}

impl Form {
    pub fn new() -> Self {
        Form::default()
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.begin(&format!("Content-Disposition: form-data; name=\"{name}\""));
        self.body.extend(value.as_bytes());
        self.body.extend(b"\r\n");
        self
    }

    pub fn file(mut self, name: &str, content_type: &str, content: &[u8]) -> Self {
        self.begin(&format!(
            "Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {content_type}"
        ));
        self.body.extend(content);
        self.body.extend(b"\r\n");
        self
    }

    /// A part with this head.
    pub fn part(mut self, head: &str, content: &[u8]) -> Self {
        self.begin(head);
        self.body.extend(content);
        self.body.extend(b"\r\n");
        self
    }

    fn begin(&mut self, head: &str) {
        self.body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").bytes());
    }

    /// The body, and its content type.
    pub fn finish(mut self) -> (Vec<u8>, String) {
        self.body.extend(format!("--{BOUNDARY}--\r\n").bytes());
        (self.body, format!("multipart/form-data; boundary={BOUNDARY}"))
    }

    pub async fn send(self, client: &Client, method: &str, path: &str) -> Answer {
        let (body, content_type) = self.finish();
        client.request(method, path).body(body, &content_type).send().await
    }
}

/// Uploads one file and gives its item, all fields.
pub async fn upload(client: &Client, name: &str, content_type: &str, content: &[u8]) -> Value {
    Form::new().file(name, content_type, content).send(client, "POST", "/files").await.data()
}

/// A picture without transparency: each pixel tells where it is.
pub fn picture(width: u32, height: u32, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let pixels =
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 4) as u8, (y * 4) as u8, 128]));
    image::DynamicImage::from(pixels).write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

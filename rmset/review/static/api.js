// Requests to the server. All addresses are relative, so the token stays in the address bar.

export class Conflict extends Error {}

async function json(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 409) throw new Conflict(body.error ?? "changed elsewhere");
  if (!answer.ok) throw new Error(body.error ?? `the server says ${answer.status}`);
  return body;
}

export const queue = async () => json(await fetch("api/queue"));

export const open = async (video) => json(await fetch(`api/layout/${video}`));

export const save = async (video, layout, version) =>
  json(
    await fetch(`api/layout/${video}`, {
      method: "PUT",
      headers: { "content-type": "application/json", "if-match": version },
      body: JSON.stringify({ schema: 1, ...layout }),
    }),
  );

export const frameAddress = (video, frame, width) => `api/frame/${video}/${frame}/${width}`;
